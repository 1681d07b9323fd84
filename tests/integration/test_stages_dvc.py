"""`leverframe stages` holds dvc.yaml to the declarations, and keeps what a person added."""

from __future__ import annotations

from pathlib import Path

import pytest

from leverframe.domain.pipeline.stages import OWN_STAGES
from tests.integration.shop import Shop, copied, finished

OWN = """
  digest: # of my own
    cmd: cksum < data/features/2024-05.parquet > digest.txt
    deps:
      - data/features/2024-05.parquet
    outs:
      - digest.txt:
          cache: false
"""


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a reproduced shop that the test may change."""
    return copied(finished(tmp_path_factory), tmp_path)


def assert_mended(shop: Shop) -> None:
    """Assert that the check fails, touches nothing, and is content after a write."""
    before = shop.repository.read("dvc.yaml")
    ended = shop.run("stages", "--check")
    assert ended.code == 18
    what, _, following = ended.error()
    assert what == "dvc.yaml is not what the declarations ask for"
    assert "leverframe stages --write" in following
    assert shop.repository.read("dvc.yaml") == before
    assert shop.run("stages", "--write").code == 0
    assert shop.run("stages", "--check").code == 0
    assert shop.run("stages").stdout == shop.repository.read("dvc.yaml")


def test_a_window_that_outgrows_its_months_fails_the_check(shop: Shop) -> None:
    """40 days and 7 of lag reach two months back: the check says so, the write adds the dependency."""
    missing = "data/raw/orders/${item.back_2}.parquet"
    build = shop.repository.read("dvc.yaml").split("  build:\n")[1].split("  training-set:\n")[0]
    assert missing not in build
    shop.replace("pipelines/shop/star.yaml", "windows: [3d, 14d]", "windows: [3d, 40d]")
    assert_mended(shop)
    build = shop.repository.read("dvc.yaml").split("  build:\n")[1].split("  training-set:\n")[0]
    assert missing in build
    subjects = {finding["subject"] for finding in shop.status()["build@2024-05"]["findings"]}
    assert "data/raw/orders/2024-03.parquet" in subjects
    assert shop.repro("build@2024-05") == {"build@2024-05"}


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("params.yaml", 'last: "2024-05"\n  timezone', 'last: "2024-06"\n  timezone'),
        ("pipelines/shop/sources.py", "raw/products.csv", "raw/goods.csv"),
        ("pipelines/shop/sources.py", "SOURCES = {", 'SOURCES = {\n    "goods": Source(Csv("raw/products.csv")),'),
        ("dvc.yaml", "data/raw/products.parquet", "data/raw/product.parquet"),
    ],
    ids=["a month more", "another file", "a table more", "an edit by hand"],
)  # fmt: skip
def test_whatever_dvc_yaml_is_derived_from_fails_the_check(path: str, old: str, new: str, shop: Shop) -> None:
    """A month, a file that is read, a table, or an edit of the derived part itself."""
    shop.replace(path, old, new)
    assert_mended(shop)


def test_a_window_that_stays_within_its_months_passes_the_check(shop: Shop) -> None:
    """21 days and 7 of lag still end in the month before: dvc.yaml stays as it is."""
    shop.replace("pipelines/shop/star.yaml", "windows: [3d, 14d]", "windows: [3d, 21d]")
    assert shop.run("stages", "--check").code == 0


def test_own_stages_below_the_line_survive_and_run(shop: Shop) -> None:
    """A write keeps them to the last character, and DVC runs them as stages among the others."""
    text = shop.repository.read("dvc.yaml")
    assert text.endswith(OWN_STAGES + "\n")
    shop.repository.write("dvc.yaml", text + OWN)
    assert shop.run("stages", "--check").code == 0
    shop.replace("pipelines/shop/star.yaml", "windows: [3d, 14d]", "windows: [3d, 40d]")
    assert_mended(shop)
    assert shop.repository.read("dvc.yaml").endswith(OWN_STAGES + "\n" + OWN)
    assert shop.status()["digest"]["state"] == "new"
    shop.repository.git("checkout", "--quiet", "pipelines")
    assert shop.run("stages", "--write").code == 0
    assert shop.repro() == {"digest"}
    assert len(shop.repository.read("digest.txt").split()) == 2


def test_without_dvc_yaml_the_check_fails_and_a_write_makes_it(shop: Shop) -> None:
    """A new case begins with four files and one command."""
    before = shop.repository.read("dvc.yaml")
    (shop.root / "dvc.yaml").unlink()
    assert shop.run("stages", "--check").code == 18
    assert shop.run("stages", "--write").code == 0
    assert shop.repository.read("dvc.yaml") == before


def test_a_section_that_comes_or_goes_makes_its_stages_stale(shop: Shop) -> None:
    """DVC does not see that a section went away; the file of defaults, which then names it, tells."""
    section = "evaluate:\n  slices: [product]\n  minimum_slice_rows: 50\n  confidence: 0.95\n"
    shop.replace("params.yaml", section, "")
    assert shop.run("stages", "--check").code == 18
    assert "leverframe-version.yaml" in shop.run("stages", "--write").stdout
    assert "evaluate" in shop.stale()
    assert shop.repro("evaluate") == {"evaluate"}
    assert shop.stale() & {"train", "evaluate", "build@2024-01"} == set()
    shop.replace("params.yaml", "bundle:\n", section + "\nbundle:\n")
    assert shop.run("stages", "--write").code == 0
    assert "evaluate" in shop.stale()
