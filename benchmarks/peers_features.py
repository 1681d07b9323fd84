"""The same as-of lookup by Feast 0.67, and by our own build with ten times the labels.

One million labels look up the newest of ten million rows of 100,000 keys, result written as Parquet:
the star compiler against ``get_historical_features`` of Feast's DuckDB store, and against its Dask
store on a tenth of the labels. Both answers are joined on the row's id and compared value by value.
Feast looks back without a limit, which costs it less than our tolerance would. Then ten million
labels are built, which Feast is not asked for.

No label shares its timestamp with a row of the history: Feast would answer with that row, which the
star compiler takes for one that was not known yet. Feast runs in an environment of its own under
``.leverframe/peers``, made once from ``feast.txt``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.alternate import Measure, alternate, child, machine, measured, medians, met, ratio
from benchmarks.features import MAKE, STAR, YEAR, Work
from benchmarks.peers.environments import python_of

# ruff: noqa: PLC0415 - a side imports only what it compares, and the parent of the children stays small

NAME, PEER = "benchmarks.peers_features", "benchmarks.peers.feast_side"
VERSION = "0.67.0"
PLACE = Path(".leverframe/peers/feast-0.67")
PINS = Path(__file__).with_name("feast.txt")
# Timestamps of the spine are odd microseconds, those of the history even ones.
TIMESTAMP = f"make_timestamptz(1356998400000000 + (hash(i * {{salt}}) % {YEAR // 2})::BIGINT * 2 + {{odd}})"

TARGETS = {
    "wall_vs_feast_duckdb": 0.1,  # at least ten times faster
    "peak_vs_feast_duckdb": 0.2,  # at least five times less memory
    "wall_10m_over_1m": 10,  # time grows no worse than the labels
    "peak_10m_gb": 4,
    "labels_lost": 0,
    "mismatches": 0,
}

Found = Mapping[str, Sequence[Measure]]


def main() -> None:
    """Print the figures, or do the work of one side when this is a child."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="a tenth of all rows, 2 rounds")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--labels", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        measured(SIDES[given.side](given.root, given.labels))
    else:
        print(json.dumps(figures(quick=given.quick), indent=2))


def figures(*, quick: bool) -> dict[str, Any]:
    """Return the figures of all sides, measured turn by turn."""
    labels, rounds = (100_000, 2) if quick else (1_000_000, 3)
    few, many, keys = labels // 10, labels * 10, labels // 10
    python = environment()
    with tempfile.TemporaryDirectory() as root:

        def side(name: str, labels: int) -> Measure:
            return child(NAME, "--side", name, "--root", root, "--labels", str(labels))

        def feast(store: str, labels: int) -> Measure:
            return child(PEER, "--store", store, "--root", root, "--labels", str(labels), python=python)

        side("make", labels)
        peers = alternate({"ours": partial(side, "ours", labels), "duckdb": partial(feast, "duckdb", labels)}, rounds)
        dask = alternate({"ours": partial(side, "ours", few), "dask": partial(feast, "dask", few)}, 1)
        growth = alternate({"ours": partial(side, "ours", labels), "ours_10m": partial(side, "ours", many)}, rounds)
        counts = {name: side(f"against_{name}", size).result for name, size in (("duckdb", labels), ("dask", few))}
        counts["many"] = side("kept", many).result
    values = _values(peers, dask, growth) | _answers(counts)
    sizes = {"labels": labels, "history": many, "keys": keys, "labels_dask": few, "labels_10m": many}
    return {
        "name": "peers_features",
        "machine": machine() | {"feast": VERSION},
        "sizes": sizes | {"rounds": rounds, "rounds_dask": 1},
        "ratios": values,
        "absolute": _absolute(peers, dask, growth),
        "targets": TARGETS,
        "met": met(values, TARGETS),
    }


def _values(peers: Found, dask: Found, growth: Found) -> dict[str, float]:
    """Return our time and memory over those of Feast, and what ten times the labels cost."""
    return {
        "wall_vs_feast_duckdb": ratio(peers["ours"], peers["duckdb"], "wall"),
        "cpu_vs_feast_duckdb": ratio(peers["ours"], peers["duckdb"], "cpu"),
        "peak_vs_feast_duckdb": ratio(peers["ours"], peers["duckdb"], "peak"),
        "wall_vs_feast_dask": ratio(dask["ours"], dask["dask"], "wall"),
        "peak_vs_feast_dask": ratio(dask["ours"], dask["dask"], "peak"),
        "wall_10m_over_1m": ratio(growth["ours_10m"], growth["ours"], "wall"),
        "peak_10m_gb": round(max(measure.peak for measure in growth["ours_10m"]), 3),
    }


def _answers(counts: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """Return the share of labels that each side kept, and how many labels and values are wrong of ours."""
    labels, ours = (sum(side[name] for side in counts.values()) for name in ("labels", "ours"))
    return {
        "labels_kept": round(ours / labels, 6),
        "labels_kept_feast_duckdb": round(counts["duckdb"]["feast"] / counts["duckdb"]["labels"], 6),
        "labels_kept_feast_dask": round(counts["dask"]["feast"] / counts["dask"]["labels"], 6),
        "labels_lost": labels - ours,
        "mismatches": counts["duckdb"]["mismatches"] + counts["dask"]["mismatches"],
    }


def _absolute(peers: Found, dask: Found, growth: Found) -> dict[str, dict[str, float]]:
    """Return the median seconds and gigabytes of each side, under names that tell the runs apart."""
    sides = {"ours": peers["ours"], "feast_duckdb": peers["duckdb"]}
    few = {"ours_dask_labels": dask["ours"], "feast_dask": dask["dask"]}
    return medians(sides | few | {"ours_10m": growth["ours_10m"]})


def environment() -> str:
    """Return the Python of Feast's own environment."""
    return python_of(f"Feast {VERSION}", PLACE, PINS, f"feast[duckdb]=={VERSION}")


def make(root: Path, labels: int) -> Work:
    """Write the history, and spines of a tenth of ``labels``, of ``labels`` and of ten times as many."""
    import duckdb

    spines = {f"spine_{rows}": rows for rows in (labels // 10, labels, labels * 10)}

    def work() -> dict[str, Any]:
        for name, rows in {**spines, "history": labels * 10}.items():
            salt, odd = (17, 0) if name == "history" else (13, 1)
            timestamp, path = TIMESTAMP.format(salt=salt, odd=odd), root / f"{name}.parquet"
            duckdb.execute(MAKE.format(keys=labels // 10, rows=rows, timestamp=timestamp, path=path))
        return {}

    return work


def ours(root: Path, labels: int) -> Work:
    """Build the as-of lookup with the star compiler."""
    from leverframe.adapters.duckdb.engine import DuckDBEngine
    from leverframe.domain.features.build import Inputs
    from leverframe.domain.features.plan import compile_star
    from leverframe.domain.features.star import Star

    plan = compile_star(Star.model_validate(STAR))
    files = {"spine": (root / f"spine_{labels}.parquet",), "history": (root / "history.parquet",)}
    inputs = Inputs(files["spine"][0], files, {})

    def work() -> dict[str, Any]:
        assert DuckDBEngine().build(plan, inputs, root / f"ours_{labels}.parquet") == labels
        return {}

    return work


def kept(root: Path, labels: int, other: str = "") -> Work:
    """Count the labels that have exactly one row of ours, and of the ``other`` side where one is named."""
    import duckdb

    sides = {"ours": "ours"} | ({"feast": f"feast_{other}"} if other else {})

    def work() -> dict[str, Any]:
        counts = {"labels": labels}
        for name, file in sides.items():
            single = f"SELECT id FROM '{root}/{file}_{labels}.parquet' GROUP BY id HAVING count(*) = 1"
            query = f"SELECT count(*) FROM '{root}/spine_{labels}.parquet' SEMI JOIN ({single}) USING (id)"
            (counts[name],) = duckdb.execute(query).fetchall()[0]
        return counts

    return work


def against(other: str, root: Path, labels: int) -> Work:
    """Count as ``kept`` does, and the rows of both sides in which any value differs."""
    import duckdb

    counted = kept(root, labels, other)
    pairs = {"k": "k", "as_of": "event_timestamp", "h_a": "a", "h_b": "b", "h_c": "c", "y": "y"}
    differ = " OR ".join(f"o.{mine} IS DISTINCT FROM f.{theirs}" for mine, theirs in pairs.items())

    def work() -> dict[str, Any]:
        (mismatches,) = duckdb.execute(
            f"SELECT count(*) FILTER ({differ}) FROM '{root}/ours_{labels}.parquet' o "
            f"JOIN '{root}/feast_{other}_{labels}.parquet' f USING (id)"
        ).fetchall()[0]
        return counted() | {"mismatches": mismatches}

    return work


SIDES = {side.__name__: side for side in (make, ours, kept)}
SIDES |= {f"against_{store}": partial(against, store) for store in ("duckdb", "dask")}

if __name__ == "__main__":
    main()
