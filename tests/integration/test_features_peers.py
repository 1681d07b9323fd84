"""The benchmark against Feast, as far as it needs no Feast: our side, what counts as kept, what counts as equal."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from benchmarks import peers_features

LABELS = 500


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the tables of the benchmark, small, and what our side makes of them."""
    root = tmp_path_factory.mktemp("peers")
    peers_features.make(root, LABELS)()
    peers_features.ours(root, LABELS)()
    return root


def answer(root: Path) -> pl.DataFrame:
    """Return our answer in the form that Feast gives."""
    ours = pl.read_parquet(root / f"ours_{LABELS}.parquet")
    names = {"h_a": "a", "h_b": "b", "h_c": "c", "as_of": "event_timestamp"}
    return ours.rename(names).select("id", "k", "event_timestamp", "a", "b", "c", "y")


def test_every_label_is_kept_and_what_is_lost_or_twice_there_is_counted(built: Path) -> None:
    """A row that stands twice is no better than one that is lost."""
    assert peers_features.kept(built, LABELS)() == {"labels": LABELS, "ours": LABELS}
    frame = answer(built)
    pl.concat([frame[3:], frame[10:12]]).write_parquet(built / f"feast_duckdb_{LABELS}.parquet")
    counts = peers_features.against("duckdb", built, LABELS)()
    assert counts == {"labels": LABELS, "ours": LABELS, "feast": LABELS - 5, "mismatches": 0}


def test_another_value_is_a_mismatch(built: Path) -> None:
    """Nulls are equal to nulls and to nothing else."""
    frame = answer(built)
    known = frame.with_row_index().filter(pl.col("a").is_not_null())["index"][:2]
    changed = frame.with_columns(a=pl.when(pl.int_range(pl.len()).is_in(known)).then(None).otherwise(pl.col("a")))
    changed.write_parquet(built / f"feast_dask_{LABELS}.parquet")
    assert peers_features.against("dask", built, LABELS)()["mismatches"] == 2


def test_without_feast_the_benchmark_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that cannot be made is one message that tells what to do."""
    monkeypatch.setattr(peers_features, "PLACE", tmp_path / "environment")
    monkeypatch.setattr(peers_features, "VERSION", "0.0.0.nowhere")
    with pytest.raises(SystemExit, match=r"Feast 0\.0\.0\.nowhere cannot be installed"):
        peers_features.environment()
