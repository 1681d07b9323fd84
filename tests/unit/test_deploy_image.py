"""The image of the server, read as text: no Docker is needed to see what it is made of."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
FOLDER = HERE / "src/leverframe/kubernetes"
LINES = [
    line.replace("\\\n", " ")
    for line in re.split(r"(?<!\\)\n", (FOLDER / "Dockerfile").read_text(encoding="utf-8"))
    if line and not line.startswith("#")
]


def said(word: str) -> list[str]:
    """Return what follows an instruction, each time that it stands there."""
    return [line.partition(" ")[2].strip() for line in LINES if line.startswith(f"{word} ")]


def test_every_stage_is_pinned() -> None:
    """By digest, so that the same file is the same image."""
    assert len(said("FROM")) == 2
    assert all(re.fullmatch(r"[a-z0-9./:-]+@sha256:[0-9a-f]{64}( AS [a-z]+)?", image) for image in said("FROM"))
    copied = [copy for copy in said("COPY") if "--from=" in copy]
    assert all(copy.startswith("--from=build ") for copy in copied)


def test_nothing_is_fetched_but_by_hash() -> None:
    """No URL is added, no package manager of the system runs, and pip and uv take what the locks name."""
    assert said("ADD") == []
    commands = [json.loads(text) for text in said("RUN")]
    installs = [argv for argv in commands if "install" in argv or "sync" in argv]
    assert all("--require-hashes" in argv or argv[-1] == "." for argv in installs)
    assert all(argv[0] in ("python", "uv") for argv in commands)
    assert all({"--build-constraint", "--require-build-hashes"} <= {*argv} for argv in installs if argv[0] == "uv")


def test_nobody_is_root_and_no_shell_stands_between() -> None:
    """A signal reaches the server; the entry is in exec form, and so is every step."""
    (user,) = said("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    for word in ("ENTRYPOINT", "CMD", "RUN"):
        assert all(isinstance(json.loads(text), list) for text in said(word)), word
    assert LINES.index(f"USER {user}") < min(n for n, line in enumerate(LINES) if line.startswith("ENTRYPOINT"))
    assert user.split(":")[0] in (FOLDER / "base/deployment.yaml").read_text(encoding="utf-8")


def test_what_a_task_mounts_belongs_to_the_user() -> None:
    """Fargate gives an empty volume the owner of the image's folder, where the image declares a volume there."""
    (user,) = said("USER")
    volumes = json.loads(said("VOLUME")[0])
    assert "/tmp" in volumes  # noqa: S108 - of the container, where everybody may write
    owned = {copy.split()[-1]: copy for copy in said("COPY") if f"--chown={user} " in copy}
    assert set(volumes) - {"/tmp"} == set(owned) == {"/var/lib/leverframe"}  # noqa: S108


def _packages(path: Path) -> dict[str, tuple[str, set[str]]]:
    """Return version and hashes by package."""
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    blocks = re.split(r"^(?=[a-z0-9][^\s=]*==)", text, flags=re.MULTILINE)[1:]
    return {
        block.partition("==")[0]: (re.split(r"[\s;]", block)[0], set(re.findall(r"sha256:[0-9a-f]{64}", block)))
        for block in blocks
    }


@pytest.mark.parametrize("name", ["requirements.lock", "uv.lock"])
def test_its_locks_are_cut_out_of_the_one_lock(name: str) -> None:
    """The image has what was tested, and nothing of training on many machines, of monitoring or of tests."""
    whole, part = _packages(HERE / "requirements.lock"), _packages(FOLDER / name)
    assert part
    assert {package: pin for package, pin in part.items() if whole.get(package) != pin} == {}
    assert part.keys() & {"pyspark", "tensorflow", "alibi-detect", "pytest", "hypothesis"} == set()
    assert ("mlserver" in part) == (name == "requirements.lock")


def test_the_context_holds_nothing_but_the_source() -> None:
    """Data, models, history and settings of the machine stay outside."""
    lines = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    copied = {word for copy in said("COPY") if "--from" not in copy for word in copy.split()[:-1]}
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == copied
