"""Served answers are those of training: thousands of rows, over REST and gRPC, by raw columns and by entity keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
import tritonclient.grpc as triton

from leverframe.domain.partition import Partition, Partitions
from leverframe.local.bundles import sealed
from tests.integration.shop import made
from tests.integration.test_serve_server import MODEL, Server, probabilities, tensors, training_answers

LAST = "2024-03"
BATCH = 500


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, pl.DataFrame, Any]]:
    """Return a server whose snapshot covers the months of a busy shop, their rows, and the answers of training."""
    shop = made(tmp_path_factory.mktemp("busy"), busy=4)
    params = shop.repository.read("params.yaml").replace('"2024-03"', '"2024-02"').replace('"2024-05"', f'"{LAST}"')
    shop.repository.write("params.yaml", params.replace('"2024-04"', f'"{LAST}"'))
    shop.repository.run("leverframe", "stages", "--write")
    shop.repository.dvc("repro", "bundle")
    folder = shop.root / "wide"
    folder.mkdir()
    shop.repository.run("leverframe", "snapshot", "--since", "2023-12-31T00:00Z", "--out", "wide/snapshot.bin")
    files = {path.name: path.read_bytes() for path in (shop.root / "models/bundle").iterdir()}
    for name, data in sealed({**files, "snapshot.bin": (folder / "snapshot.bin").read_bytes()}).items():
        (folder / name).write_bytes(data)
    months = Partitions(Partition.of("2024-01"), Partition.of(LAST), "month", "UTC").groups()
    built = [pl.read_parquet(shop.root / f"data/features/{month}.parquet") for month in months]
    table = pl.concat(built)
    server = Server(shop, "wide")
    yield server, table, training_answers(shop, table)
    assert shop.run("serve", "--stop").code == 0


def by_keys(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows as a request by entity keys, at the timestamps at which training looked."""
    timestamps = table["as_of"].dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    columns = {"customer": table["customer"], "product": table["product"], "quantity": table["quantity"],
               "amount": table["amount"], "as_of": timestamps}  # fmt: skip
    return [
        {
            "name": name,
            "shape": [len(values)],
            "datatype": "BYTES" if values.dtype == pl.String else "FP64",
            "data": values.to_list(),
        }
        for name, values in columns.items()
    ]


def over_rest(server: Server, inputs: list[dict[str, Any]]) -> Any:
    """Return the probabilities of a request over REST."""
    status, content = server.ask(json.dumps({"inputs": inputs}).encode())
    assert status == 200, content
    return probabilities(content)


def over_grpc(client: triton.InferenceServerClient, inputs: list[dict[str, Any]]) -> Any:
    """Return the probabilities of a request over gRPC, asked by a client of a third party."""
    asked = []
    for field in inputs:
        tensor = triton.InferInput(field["name"], field["shape"], field["datatype"])
        values = np.array(field["data"], object if field["datatype"] == "BYTES" else np.float64)  # None becomes NaN
        tensor.set_data_from_numpy(values.reshape(field["shape"]))
        asked.append(tensor)
    return client.infer(MODEL, asked).as_numpy("probability").ravel()


@pytest.mark.parametrize("form", ["columns", "keys"])
def test_served_answers_are_those_of_training(form: str, served: tuple[Server, pl.DataFrame, Any]) -> None:
    """More than 5,000 rows, each way: at most 1e-6 apart, and no other label."""
    server, table, expected = served
    assert table.height > 5000
    client = server.triton()
    rest, grpc = [], []
    for start in range(0, table.height, BATCH):
        part = table.slice(start, BATCH)
        inputs = tensors(server.shop, part) if form == "columns" else by_keys(part)
        rest.append(over_rest(server, inputs))
        grpc.append(over_grpc(client, inputs))
    for predictions in (np.concatenate(rest), np.concatenate(grpc)):
        np.testing.assert_allclose(predictions, expected, atol=1e-6)
        assert ((predictions > 0.5) == (expected > 0.5)).all()
