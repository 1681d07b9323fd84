"""A server whose features are brought up to date while it serves: from a folder, and from Redis."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from leverframe.local.traffic import Traffic
from tests.integration.redis_server import needed, running
from tests.integration.shop import MONTHS, Shop, copied, finished, month_of, wait_for
from tests.integration.test_serve_server import MODEL, Server, tensors

JUNE = datetime(2024, 6, 1, tzinfo=UTC)
KEYS = {"customer": "c7", "product": "desk", "quantity": 2, "amount": 360.0}
NEXT = "2024-06"


def at(days: float) -> str:
    """Return a timestamp of June as text."""
    return (JUNE + timedelta(days=days)).isoformat()


def body(as_of: str, **keys: Any) -> bytes:
    """Return a request by keys."""
    values = {**KEYS, **keys, "as_of": as_of}
    kinds = {str: "BYTES"}
    inputs = [
        {"name": name, "shape": [1], "datatype": kinds.get(type(value), "FP64"), "data": [value]}
        for name, value in values.items()
    ]
    return json.dumps({"inputs": inputs}).encode()


def grpc_inputs(as_of: str) -> list[triton.InferInput]:
    """Return the same request for a client of a third party."""
    asked = []
    for field in json.loads(body(as_of))["inputs"]:
        tensor = triton.InferInput(field["name"], field["shape"], field["datatype"])
        tensor.set_data_from_numpy(np.array(field["data"], object if field["datatype"] == "BYTES" else np.float64))
        asked.append(tensor)
    return asked


def arrive(shop: Shop, until: float) -> None:
    """Let the source have the rows of June that were there ``until`` so many days."""
    for table, rows in zip(("orders", "returns"), month_of(len(MONTHS)), strict=True):
        kept = [row for row in rows if row["placed_at"] < at(until)]
        lines = [",".join(kept[0]), *(",".join(row.values()) for row in kept)]
        shop.repository.write(f"raw/{table}-{NEXT}.csv", "\n".join(lines) + "\n")


def materialized(shop: Shop, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Bring the store up to date and return the report."""
    ended = shop.run("materialize", *arguments, "--json")
    assert ended.code == code, ended.stderr
    return json.loads(ended.stdout) if code == 0 else {"error": ended.error()}


def metric(server: Server, name: str) -> list[float]:
    """Return the values of a metric."""
    address = f"http://127.0.0.1:{server.running['metrics_port']}/metrics"
    text = urllib.request.urlopen(address, timeout=10).read().decode()
    return [float(line.split()[-1]) for line in text.splitlines() if line.startswith(name)]


def told(server: Server, request: bytes) -> dict[str, Any]:
    """Return the parameters of a response."""
    status, content = server.ask(request)
    assert status == 200, content
    parameters: dict[str, Any] = content["parameters"]
    return parameters


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Return a shop of its own, in which June has begun; its server is ended."""
    shop = copied(finished(tmp_path_factory), tmp_path)
    arrive(shop, 10)
    yield shop
    shop.run("serve", "--stop")


def test_a_server_sees_windows_of_today_without_a_deployment(shop: Shop) -> None:
    """Three generations come while it is asked: within seconds, no request fails, features are those of a build."""
    shop.repository.write("leverframe.yaml", "online: {store: file, maximum_age_hours: 30}\n")
    tracked = shop.repository.git("status", "--short")
    server = Server(shop)
    first = told(server, body("2024-06-01T05:00Z"))
    assert (first["features_from"], first["features_as_of"][:10]) == ("bundle", "2024-06-03")  # the last known row
    seen = [first["features_as_of"]]
    path, request = f"/v2/models/{MODEL}/infer", body(at(9))
    clients = Traffic(server.running["port"], path, request, clients=2)
    with clients.running():
        for days, kind in ((9, "full"), (9.5, "increment"), (10, None)):
            report = materialized(shop, "--as-of", at(days))
            assert report["kind"] == (kind or report["kind"])
            wait_for(lambda: told(server, body(at(9.9)))["features_as_of"] == report["as_of"], 20)  # noqa: B023
            assert told(server, body(at(days)))["features_from"] == "online"
            seen.append(report["as_of"])
    assert not clients.failed
    assert len(set(seen)) == 4
    parity = shop.run("materialize", "--check", "--json")
    assert parity.code == 0, parity.stderr
    assert json.loads(parity.stdout)["rows"] > 20
    assert "stale" not in told(server, body(at(11)))
    (before,) = metric(server, "leverframe_stale_requests_total{")
    assert told(server, body(at(11.3)))["stale"] is True
    assert metric(server, "leverframe_stale_requests_total{") == [before + 1]
    assert metric(server, "leverframe_feature_online{") == [1.0]
    assert metric(server, "leverframe_feature_age_seconds{")[0] > 86_400
    assert server.ask(body(at(7)))[0] == 400  # neither the store nor the bundle knows it
    assert told(server, body("2024-05-31T22:00Z"))["features_from"] == "bundle"
    wait_for(lambda: any(row.get("snapshot", "")[:10] == "2024-06-11" for row in server.log()))
    report = materialized(shop, "--as-of", at(39.5))  # on time, but the sources have nothing of July
    assert report["delivered"][:10] == "2024-06-30"  # in UTC, midnight of the case
    wait_for(lambda: told(server, body(at(39.6)))["features_as_of"] == report["delivered"], 20)
    assert told(server, body(at(39.6)))["stale"] is True
    assert shop.repository.git("status", "--short") == tracked


def test_what_a_server_looks_up_is_what_a_build_of_that_day_has(shop: Shop) -> None:
    """The features in the inference log equal those that the stages build from the same rows."""
    shop.repository.write("leverframe.yaml", "online: {store: file}\n")
    for days in (8, 9, 9.6, 10):
        materialized(shop, "--as-of", at(days))
    server = Server(shop)
    shop.replace("params.yaml", '"2024-05"\n  timezone', f'"{NEXT}"\n  timezone')
    for stage in ("ingest", "build"):
        shop.repository.run("leverframe", stage, "--partition", NEXT)
    built = pl.read_parquet(shop.root / f"data/features/{NEXT}.parquet")
    rows = built.filter((pl.col("as_of") > JUNE + timedelta(days=8.5)) & (pl.col("as_of") <= JUNE + timedelta(days=10)))
    assert rows.height > 10
    for row in rows.iter_rows(named=True):
        keys = {name: row[name] for name in KEYS}
        told(server, body(row["as_of"].isoformat(), **keys | {"quantity": float(keys["quantity"])}))
    wait_for(lambda: len(server.log()) == rows.height)
    for row, record in zip(rows.iter_rows(named=True), server.log(), strict=True):
        served = {name: values[0] for name, values in record["features"].items()}
        assert served == {name: _served(row[name]) for name in served}


def _served(value: Any) -> Any:
    return float(value) if isinstance(value, int | bool) else value


def test_features_that_are_too_old_are_refused(shop: Shop) -> None:
    """503 for keys, with the reason; columns need no features. A store of another definition is not used."""
    shop.repository.write("leverframe.yaml", "online: {store: file, maximum_age_hours: 24, when_stale: refuse}\n")
    materialized(shop, "--as-of", at(9))
    server = Server(shop)
    assert told(server, body(at(9.5)))["features_from"] == "online"
    status, content = server.ask(body(at(10.5)))
    assert status == 503
    assert "36.0 hours old" in content["error"]
    with pytest.raises(InferenceServerException, match=r"36\.0 hours old") as refused:
        server.triton().infer(MODEL, grpc_inputs(at(10.5)))
    assert refused.value.status() == "StatusCode.UNAVAILABLE"
    assert metric(server, 'leverframe_requests_total{model="shop",outcome="stale"') == [2.0]
    shop.replace("pipelines/shop/star.yaml", "windows: [14d]", "windows: [13d]")
    materialized(shop, "--as-of", at(10))
    assert server.ask(body(at(9.9)))[1]["parameters"]["features_as_of"][:13] == at(9)[:13]


@needed
def test_redis_serves_and_a_redis_that_is_down_is_no_unknown_key(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 within the timeout, counted; health goes on; requests by columns too."""
    shop.repository.write("leverframe.yaml", "online: {store: redis, redis: FEATURES}\n")
    with running() as (url, redis):
        monkeypatch.setenv("FEATURES", url)
        materialized(shop, "--as-of", at(9))
        server = Server(shop)
        assert url not in (server.folder / "config.json").read_text()
        assert told(server, body(at(9.1)))["features_from"] == "online"
        arrive(shop, 10)
        report = materialized(shop, "--as-of", at(9.5))
        wait_for(lambda: told(server, body(at(9.6)))["features_as_of"] == report["as_of"], 20)
        redis.send_signal(signal.SIGSTOP)  # it takes requests and never responds
        assert server.ask(body(at(9.6)))[0] == 503
        assert psutil.Process(redis.pid).status() == psutil.STATUS_STOPPED  # nobody waited for it
        redis.send_signal(signal.SIGCONT)
        wait_for(lambda: server.ask(body(at(9.6)))[0] == 200)
        (before,) = metric(server, 'leverframe_requests_total{model="shop",outcome="unavailable"')
        redis.kill()
        redis.wait()
        status, content = server.ask(body(at(9.6)))
        assert (status, "cannot be reached" in content["error"]) == (503, True)
        assert metric(server, 'leverframe_requests_total{model="shop",outcome="unavailable"') == [before + 1]
        row = pl.read_parquet(shop.root / "data/features/2024-05.parquet").head(1)
        assert server.ask(json.dumps({"inputs": tensors(shop, row)}).encode())[0] == 200
        assert (
            urllib.request.urlopen(
                f"http://127.0.0.1:{server.running['port']}/v2/models/{MODEL}/ready", timeout=10
            ).status
            == 200
        )
        assert url.split(":")[2].split("@")[0] not in content["error"]


def test_broken_rows_leave_the_store_as_it_was(shop: Shop) -> None:
    """A contract that is violated, a partition that vanished, a timestamp of yesterday: an error with its own code."""
    shop.repository.write("leverframe.yaml", "online: {store: file}\n")
    materialized(shop, "--as-of", at(8))
    pointer = next((shop.root / ".leverframe/online").glob("*/current.json"))
    before = pointer.read_bytes()
    good = shop.repository.read(f"raw/orders-{NEXT}.csv")
    shop.repository.write(f"raw/orders-{NEXT}.csv", good.replace(",desk,", ",desk,-", 1))
    refused = materialized(shop, "--as-of", at(9), code=14)["error"]
    assert "violates" in refused[0]
    assert "reports/" not in "".join(refused)  # no file of the repository tells of these rows
    (shop.root / f"raw/orders-{NEXT}.csv").unlink()
    assert "no rows of 2024-06" in materialized(shop, "--as-of", at(9), code=13)["error"][0]
    shop.repository.write(f"raw/orders-{NEXT}.csv", good)
    assert "already knows more" in materialized(shop, "--as-of", at(7), code=10)["error"][0]
    assert "nobody knows yet" in materialized(shop, "--as-of", "2999-01-01T00:00Z", code=10)["error"][0]
    assert pointer.read_bytes() == before
    planned = materialized(shop, "--as-of", at(9), "--dry-run")
    assert (planned["kind"], planned["rows"] > 0, pointer.read_bytes()) == ("increment", True, before)
    assert materialized(shop, "--as-of", at(9))["generation"] == planned["generation"]
