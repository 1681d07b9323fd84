"""Faults planted in the domain, one at a time, in a copy of the tree: does a test notice?

    python -m tests.mutations --seed 13 --count 30 --json

Places are drawn by the seed from all of `src/leverframe/domain`. The tests that concern the module run until
one fails: unit tests that import it, then those that reach it, then tests of its commands. What fails must pass
without the fault, or it does not count. The exit code is 1 where more than a tenth of the faults survive.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutations.concerned import concerned
from tests.mutations.faults import Fault, below

ROOT = Path(__file__).parents[2]
DOMAIN = "src/leverframe/domain"
LONGEST = 1800.0  # seconds of one group of tests: beyond, the fault made something endless, which is noticed
FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What became of one fault: the test that noticed it, or none; ``seconds`` on the wall are for information."""

    number: int
    fault: Fault
    caught_by: str | None
    ran: int
    seconds: float

    def line(self) -> str:
        """Return one line for people."""
        word = f"caught by {self.caught_by}" if self.caught_by else f"SURVIVED {self.ran} files of tests"
        return f"{self.number:>3} {self.fault.name}\n    {word} ({self.seconds:.0f} s)"


@dataclass(frozen=True)
class Tree:
    """A copy of the tracked files with an environment of its own, in which `leverframe` is the copy's."""

    root: Path

    def test(self, files: Sequence[str], *, longest: float, again: bool = False) -> str | None:
        """Return the test that failed first; None where all passed, `endless` beyond ``longest`` seconds.

        ``again`` runs only the test that failed the last time.
        """
        python = self.root / ".venv/bin/python"
        options = [
            "-x",
            "-q",
            "-n",
            "0",
            *(["--last-failed", "--last-failed-no-failures=none"] if again else []),
            "--durations=0",
            "--no-header",
        ]
        environment = {**os.environ, "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]])}
        environment.pop("PYTEST_XDIST_WORKER", None)
        try:
            done = subprocess.run(
                [python, "-m", "pytest", *options, "--durations-min=9999", *files],
                cwd=self.root, env=environment, capture_output=True, text=True, check=False, timeout=longest,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "endless"
        if done.returncode in (0, 5):  # 5: no test in these files
            return None
        match = FAILED.search(done.stdout)
        return match.group(1) if match else done.stdout[-300:]


def main() -> None:
    """Read the options, plant the faults and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=13, help="of the draw (default 13)")
    parser.add_argument("--count", type=int, default=30, help="how many faults are drawn (default 30)")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the draw to run, from 1; all without it")
    parser.add_argument("--list", action="store_true", help="tell the places of the draw, and run nothing")
    parser.add_argument("--unit", action="store_true", help="run unit tests alone; what survives may yet be caught")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()
    faults = drawn(options.seed, options.count)
    chosen = [(number, fault) for number, fault in faults if not options.only or number in options.only]
    if options.list:
        print("\n".join(f"{number:>3} {fault.name}" for number, fault in chosen))
        return
    outcomes = []
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # its tests and its tree end with it
    with tree() as copy:
        for number, fault in chosen:
            outcomes.append(judged(copy, number, fault, unit=options.unit))
            print(outcomes[-1].line(), file=sys.stderr if options.json else sys.stdout, flush=True)
    caught = sum(outcome.caught_by is not None for outcome in outcomes)
    if options.json:
        print(json.dumps({"seed": options.seed, "caught": caught, "outcomes": list(map(asdict, outcomes))}, indent=2))
    else:
        print(f"{caught} of {len(outcomes)} caught")
    sys.exit(0 if 10 * caught >= 9 * len(outcomes) else 1)


def drawn(seed: int, count: int) -> list[tuple[int, Fault]]:
    """Return as many faults of the domain with their numbers, the same for a seed and a tree."""
    faults = below(ROOT, DOMAIN)
    return list(enumerate(random.Random(seed).sample(faults, count), start=1))  # noqa: S311 - a draw, no secret


def judged(copy: Tree, number: int, fault: Fault, *, unit: bool) -> Outcome:
    """Plant a fault in the copy, run the tests that concern it until one notices, and take the fault out again."""
    began, ran = time.monotonic(), 0
    file = copy.root / fault.path
    sound = file.read_text("utf-8")
    groups = [group for group in concerned(copy.root, fault.path) if not unit or group[0].startswith("tests/unit/")]
    for group in groups:
        file.write_text(fault.planted(sound), "utf-8")
        try:
            failed = copy.test(group, longest=LONGEST)
        finally:
            file.write_text(sound, "utf-8")
        ran += len(group)
        if failed and (failed == "endless" or copy.test(group, longest=LONGEST, again=True) is None):
            return Outcome(number, fault, failed, ran, time.monotonic() - began)
    return Outcome(number, fault, None, ran, time.monotonic() - began)


@contextlib.contextmanager
def tree() -> Iterator[Tree]:
    """Copy the tracked files, as they are now, into a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="mutations-", ignore_cleanup_errors=True) as folder:
        root = Path(folder, "tree")
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)
        for command in (["init", "-q"], ["add", "--all"], [*COMMITTER, "commit", "-q", "-m", "Copy"]):
            subprocess.run(["git", *command], cwd=root, check=True)
        _environment(root)
        yield Tree(root)


COMMITTER = ("-c", "user.name=Mutations", "-c", "user.email=mutations@example.org")


def _environment(root: Path) -> None:
    """Make an environment in which the copy's source comes before the checkout's, and its programs are there."""
    venv.create(root / ".venv", symlinks=True)
    binaries = root / ".venv/bin"
    packages = sysconfig.get_path("purelib", vars={"base": str(root / ".venv"), "platbase": str(root / ".venv")})
    installed = sysconfig.get_path("purelib")
    Path(packages, "copy.pth").write_text(f"{root / 'src'}\nimport site; site.addsitedir({installed!r})\n", "utf-8")
    for program in Path(sys.executable).parent.iterdir():
        target = binaries / program.name
        if target.exists() or not program.is_file():
            continue
        content = program.read_bytes()
        if content.startswith((f"#!{sys.executable}".encode(), b"#!/bin/sh")):
            target.write_bytes(content.replace(sys.executable.encode(), str(binaries / "python").encode(), 1))
            target.chmod(0o755)
        else:
            target.symlink_to(program)


if __name__ == "__main__":
    main()
