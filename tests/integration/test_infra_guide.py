"""The example of the guide is run as it stands: what it shows is what a reader gets."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.integration.infra_repository import InfraRepository

pytestmark = pytest.mark.skipif(not shutil.which("terraform"), reason="there is no `terraform` on PATH")
GUIDE = Path(__file__).parents[2] / "docs/guides/infrastructure.md"
MODULE = "terraform/environments/shop/main.tf"


def _alike(text: str) -> list[str]:
    """Return the lines of an output without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "COMMIT", text)
    return re.sub(r"^ +[0-9.]+ s  ", "  TIME  ", text, flags=re.MULTILINE).rstrip("\n").split("\n")


def test_the_example_of_the_guide_is_what_a_reader_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Module, settings and commands, one after the other."""
    place = InfraRepository.create(tmp_path, monkeypatch, capsys)
    example = GUIDE.read_text(encoding="utf-8").partition("\n## How the reviewed plan is found\n")[0]
    ran = 0
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```$", example, re.MULTILINE | re.DOTALL):
        if kind in ("hcl", "yaml"):
            place.repository.write(MODULE if kind == "hcl" else "leverframe.yaml", block)
            place.repository.commit("As the guide says")
        for line, shown in re.findall(r"^\$ leverframe (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            out = _alike(place.run(*line.split()).out)
            head, _, tail = shown.partition("  ...\n")
            begin, end = _alike(head), _alike(tail) if tail else []
            assert out[: len(begin)] == begin, line
            assert end == out[-len(end) :] if end else out == begin, line
            ran += 1
    assert ran == 7
