"""From a table to a judged and served model without one edited line: `init --table`, `dvc repro`, `gate`, `serve`."""

from __future__ import annotations

import json
import random
import urllib.request
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.shop import Shop
from tests.profiles import by_day
from tests.warm import WarmRepository

PORTS = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
START = datetime(2025, 1, 1, tzinfo=UTC)


def lines(head: str, rows: Sequence[Sequence[object]], separator: str = ",") -> str:
    return "\n".join([head, *(separator.join(map(str, row)) for row in rows)]) + "\n"


def flowers(draw: random.Random) -> tuple[dict[str, str], list[str]]:
    """Three classes without key or time."""
    kinds = (("setosa", 1), ("versicolor", 4), ("virginica", 6))
    rows = [
        (round(draw.gauss(mean, 1), 2), round(draw.gauss(5, 1), 2), name) for name, mean in kinds for _ in range(200)
    ]
    return {"raw/flowers.csv": lines("Petal Length,sepal,species", rows)}, ["--label", "species"]


def demand(draw: random.Random) -> tuple[dict[str, str], list[str]]:
    """A number of each day, with gaps in a column."""
    degrees = [draw.choice([round(draw.gauss(15, 8), 1), ""]) for _ in range(1200)]
    rows = [
        (f"{START + timedelta(days=number // 20):%Y-%m-%d}", number % 20, degree, max(0, round(draw.gauss(30, 8))))
        for number, degree in enumerate(degrees)
    ]
    return {"raw/demand.csv": lines("day,store,temperature,sold", rows)}, ["--label", "sold", "--time", "day"]


def houses(draw: random.Random) -> tuple[dict[str, str], list[str]]:
    """A number without time, from a file of another separator."""
    sizes = [draw.uniform(30, 200) for _ in range(600)]
    rows = [
        (n, f"{size:.1f}", draw.choice("abcd"), round(3000 * size + draw.gauss(0, 2e4))) for n, size in enumerate(sizes)
    ]
    return {"raw/houses.tsv": lines("id\tsize\tzone\tprice", rows, "\t")}, ["--label", "price"]


def visits(draw: random.Random) -> tuple[dict[str, str], list[str]]:
    """Yes or no over months, with a table to look up and one to count."""
    rows = []
    for number in range(3000):
        channel = draw.choice(["web", "shop"])
        bought = "yes" if draw.random() < (0.7 if channel == "shop" else 0.3) else "no"
        at = START + timedelta(hours=1.2 * number)
        rows.append((number, f"c{draw.randrange(100)}", channel, f"{at:%Y-%m-%dT%H:%M:%SZ}", bought))
    people = [(f"c{number}", 20 + number % 60) for number in range(100)]
    clicks = [
        (f"c{draw.randrange(100)}", f"{START + timedelta(hours=draw.random() * 3500):%Y-%m-%d %H:%M:%S}", draw.random())
        for _ in range(1000)
    ]
    files = {
        "raw/visits.csv": lines("Visit ID,customer,channel,came at,bought", rows),
        "raw/people.csv": lines("customer,age", people),
        "raw/clicks.csv": lines("customer,clicked,seconds", clicks),
    }
    return files, ["--label", "bought", "--time", "came at"]


@pytest.mark.parametrize("tables", by_day([flowers, demand, houses, visits], flowers))
def test_a_table_becomes_a_model_that_is_judged_and_served(
    tmp_path: Path, tables: Callable[[random.Random], tuple[dict[str, str], list[str]]]
) -> None:
    repository = WarmRepository.create(tmp_path, dvc=False)
    shop = Shop(repository)
    files, options = tables(random.Random(0))  # noqa: S311 - data, not a secret
    for path, text in files.items():
        repository.write(path, text)
    named = [word for path in files for word in ("--table", path)]
    shown = shop.run("init", *named, *options, "--dry-run")
    assert (shown.code, (repository.root / "params.yaml").exists()) == (0, False), shown.stderr
    made = shop.run("init", *named, *options)
    assert made.code == 0, made.stderr
    assert made.stdout.splitlines()[-2] == "next: dvc repro"
    repository.dvc("repro")
    repository.commit("A first model")
    repository.git("checkout", "--quiet", "-b", "change")
    judged = shop.run("gate", "--base", "main", "--json")
    assert (judged.code, json.loads(judged.stdout)["verdict"]) == (0, "passed"), judged.stdout
    assert shop.run("check", "--base", "main").code == 0
    again = shop.run("init", *named, *options)
    assert again.code == 10
    assert "params.yaml is there already" in again.stderr
    started = shop.run("serve", "models/bundle", *PORTS, "--name", "drafted")
    assert started.code == 0, started.stderr
    name = Path(next(iter(files))).stem
    try:
        state = json.loads(shop.run("serve", "--status", "--json", "--name", "drafted").stdout)
        request = urllib.request.Request(
            f"http://127.0.0.1:{state['running']['port']}/v2/models/{name}/infer",
            json.dumps(state["example"]).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            assert json.loads(answer.read())["outputs"]
    finally:
        shop.run("serve", "--stop", "--name", "drafted")
