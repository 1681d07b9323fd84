"""When which job of the workflow that judges runs, and what reaches each command: a program notes what it is given."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from leverframe.local.repository import TemporaryRepository
from tests.workflows.judging import RUN, Judgement, Judging
from tests.workflows.machine import uv

NOTES = """#!{python}
import json, os, pathlib, sys
given = {{name: value for name, value in os.environ.items() if name.startswith("LEVERFRAME_") and value}}
with open({notes!r}, "a") as notes:
    notes.write(json.dumps([sys.argv[1], given, bool(os.environ.get("GITHUB_TOKEN"))]) + "\\n")
if given.get("LEVERFRAME_REPORT_PENDING") == "true":
    open(os.environ["GITHUB_OUTPUT"], "a").write("pulls=" + {pulls!r} + "\\n")
if sys.argv[1] == "judge":
    place = pathlib.Path(".leverframe")
    place.mkdir(exist_ok=True)
    here = os.popen("git rev-parse HEAD").read().strip()
    (place / "judged.json").write_text(json.dumps([here, {judged!r}])) if {judged!r} else sys.exit(1)
sys.exit(1 if {refused!r} and "LEVERFRAME_REPORT_JUDGED" in given else 0)
"""


@dataclass
class Place:
    """A repository with a pull request, and what the commands were given that ran for it."""

    folder: Path
    origin: TemporaryRepository
    base: str = "main"
    judged: str = "found"
    refused: str = ""

    def started(
        self, action: str = "completed", name: str = "workflow_run", *, ref: str = "refs/heads/main",
        result: str = "", pulls: bool = True, conclusion: str = "success", **variables: str,
    ) -> Judgement:  # fmt: skip
        """Run the jobs after something happened."""
        head = self.origin.git("rev-parse", "refs/pull/1/head").strip()
        pull = {"number": 1, "base": self.base, "head": head, "run": RUN}
        program = uv(self.folder) / "leverframe"
        program.write_text(
            NOTES.format(python=sys.executable, notes=str(self.folder / "notes"), judged=self.judged,
                         pulls=json.dumps([pull] if pulls else []), refused=self.refused),
            encoding="utf-8",
        )  # fmt: skip
        program.chmod(0o755)

        def machine(_: str, __: str, ___: dict[str, Any], number: int) -> tuple[TemporaryRepository, dict[str, str]]:
            place = self.folder / f"job-{number}-{len(list(self.folder.iterdir()))}"
            self.origin.git("clone", "--quiet", str(self.origin.root), str(place))
            path = f"{program.parent}:{os.environ['PATH']}"
            variables = {"PATH": path, "GITHUB_RUN_ATTEMPT": "1", "GITHUB_SERVER_URL": "https://github.com"}
            return TemporaryRepository(place, self.origin.home), self.origin.environment | variables

        event: dict[str, Any] = {
            "repository": {},
            "action": action,
            "workflow_run": {"id": RUN, "conclusion": conclusion},
        }
        judge = Judging(machine, self.folder / "runs", {str(RUN): self.folder / "artifacts"}, ref=ref)
        return judge(name, event, variables, result=result)

    def given(self) -> list[tuple[str, dict[str, str], bool]]:
        """Return the commands in order, each with its variables, and whether it had a token."""
        notes = self.folder / "notes"
        return [tuple(json.loads(line)) for line in notes.read_text().splitlines()] if notes.exists() else []

    def commands(self) -> list[str]:
        """Return the commands in short."""
        names = {"LEVERFRAME_REPORT_PENDING": "pending", "LEVERFRAME_REPORT_JUDGED": "judged",
                 "LEVERFRAME_REPORT_UNJUDGED": "unjudged"}  # fmt: skip
        known = [(command, given) for command, given, _ in self.given() if command != "--version"]
        return [next((names[name] for name in names if given.get(name, "false") != "false"), command)
                for command, given in known]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A repository whose pull request left a claim and an output."""
    origin = TemporaryRepository.create(tmp_path / "origin", dvc=False)
    origin.write("file", "base")
    origin.commit("Base")
    origin.git("branch", "release")
    origin.write("file", "change")
    origin.commit("Change")
    origin.git("update-ref", "refs/pull/1/head", "HEAD")
    origin.git("reset", "--quiet", "--hard", "HEAD~1")
    for path, text in (("leverframe-report/report.json", "{}"), ("leverframe-outputs/files/md5/aa/bb", "x")):
        file = tmp_path / "artifacts" / path
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    return Place(tmp_path, origin)


def test_the_judge_gets_data_and_no_token_and_what_it_found_is_posted(place: Place) -> None:
    """It runs in a checkout of the base, which has the change as objects alone; files of the run lie elsewhere."""
    ended = place.started()
    assert [job.status for job in (ended.pulls, *ended.judge.values(), *ended.publish.values())] == ["success"] * 3
    assert place.commands() == ["pending", "judge", "judged"]
    given = {command: (values, token) for command, values, token in place.given() if command == "judge"}["judge"]
    base, head = (place.origin.git("rev-parse", name).strip() for name in ("main", "refs/pull/1/head"))
    values = given[0]
    assert (values["LEVERFRAME_JUDGE_HEAD"], values["LEVERFRAME_JUDGE_BASE"]) == (head, "main")
    assert not given[1]
    for name in ("LEVERFRAME_JUDGE_CLAIM", "LEVERFRAME_JUDGE_OBJECTS"):
        path = Path(values[name])
        assert path.exists()
        assert not any(path.is_relative_to(folder) for folder in ended.folders)
    posted = place.given()[-1][1]
    assert json.loads(Path(posted["LEVERFRAME_REPORT_JUDGED"]).read_bytes()) == [base, "found"]
    assert Path(posted["LEVERFRAME_REPORT_UNVERIFIED"]).is_file()
    assert posted["LEVERFRAME_REPORT_PULL"] == "1"


def test_nothing_is_judged_before_a_run_ended_or_may_begin(place: Place) -> None:
    """Its check is in progress meanwhile. Nothing runs for a dispatch on another branch, or for no pull request."""
    assert place.started("requested").judge == {}
    assert place.started(conclusion="action_required").judge == {}
    assert place.commands() == ["pending"] * 2
    assert place.started(name="workflow_dispatch", ref="refs/heads/mine").pulls.status == "skipped"
    assert place.started(pulls=False).publish == {}
    assert place.commands() == ["pending"] * 3


@pytest.mark.parametrize("event", ["push", "workflow_dispatch"])
def test_a_moved_base_and_a_person_start_it_too(place: Place, event: str) -> None:
    """On the default branch alone."""
    place.started("", event)
    assert place.commands() == ["pending", "judge", "judged"]


def test_code_of_another_base_runs_only_where_it_is_trusted(place: Place) -> None:
    """Whoever may push to it would run code in a job whose results are posted for others."""
    place.base = "release"
    place.started()
    assert place.commands() == ["pending", "unjudged"]
    place.started(LEVERFRAME_BASES='["release"]')
    assert place.commands()[2:] == ["pending", "judge", "judged"]


@pytest.mark.parametrize("how", ["broken", "cancelled", "refused"])
def test_every_ending_is_posted(place: Place, how: str) -> None:
    """A judge that leaves nothing, one that was cancelled, a result that cannot be posted: the check says so."""
    place.judged, place.refused = "" if how == "broken" else "found", "yes" if how == "refused" else ""
    place.started(result="cancelled" if how == "cancelled" else "")
    assert place.commands()[-1] == "unjudged"
    words = place.given()[-1][1]["LEVERFRAME_REPORT_UNJUDGED"]
    assert ("cancelled" in words) == (how == "cancelled")
