"""What keeps pull requests from being judged, as workflow files and the rules of a branch show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from leverframe.domain.doctor.diagnosis import Diagnosed, ordered
from leverframe.domain.doctor.forge_findings import ForgeFacts, forge_findings
from leverframe.domain.doctor.workflow_findings import installing, workflow_findings

TEMPLATES = Path(__file__).parents[2] / ".github/workflows"
PIN = "0123456789012345678901234567890123456789"
GOOD = f"""
name: leverframe
on: {{pull_request: , schedule: [{{cron: "23 5 * * *"}}]}}
permissions: {{}}
jobs:
  model:
    permissions: {{contents: read}}
    steps:
      - uses: actions/checkout@{PIN}
        with: {{fetch-depth: 0}}
      - uses: leverframe/leverframe/actions/gate@{PIN}
      - run: leverframe gate
"""


def found(text: str) -> list[Diagnosed]:
    return list(workflow_findings({"leverframe.yml": text}))


def test_a_workflow_as_it_should_be_has_one_finding_that_says_so() -> None:
    assert [finding.state for finding in found(GOOD)] == ["ok"]


@pytest.mark.parametrize(
    ("old", "new", "state", "words"),
    [
        ("fetch-depth: 0", "fetch-depth: 1", "wrong", "needs the history"),
        ("        with: {fetch-depth: 0}\n", "", "wrong", "needs the history"),
        ("pull_request:", "pull_request_target:", "wrong", "with the secrets"),
        ("permissions: {}\n", "permissions: write-all\n", "wrong", "write-all"),
        ("23 5 * * *", "tomorrow", "wrong", "never starts"),
        (f"gate@{PIN}", "gate@v1", "warning", "by a tag"),
        ("name: leverframe", "name: [", "wrong", "not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_fix(old: str, new: str, state: str, words: str) -> None:
    (finding,) = [diagnosis for diagnosis in found(GOOD.replace(old, new)) if diagnosis.state != "ok"]
    assert finding.state == state
    assert words in finding.what
    assert finding.fix


@pytest.mark.parametrize(
    ("step", "alone"),
    [
        ("- uses: leverframe/leverframe/actions/setup@v1", True),
        ("- uses: leverframe/leverframe/actions/setup@v1 # project: none", True),
        ("- {uses: leverframe/leverframe/actions/setup@v1, with: {project: ''}}", True),
        ("- {uses: leverframe/leverframe/actions/setup@v1, with: {project: .}}", False),
        ("- run: echo leverframe/leverframe/actions/setup@v1", False),
        ("- uses: [", False),
    ],
)
def test_a_workflow_that_installs_from_the_lock_alone(step: str, alone: bool) -> None:
    """The steps decide, no text beside them."""
    text = f"name: 'project: one'\njobs:\n  model:\n    steps:\n      {step}\n"
    assert list(installing({"one.yml": text})) == (["one.yml"] if alone else [])


def test_a_job_without_permissions_gets_those_of_the_repository() -> None:
    text = GOOD.replace("permissions: {}\n", "").replace("    permissions: {contents: read}\n", "")
    assert [finding.state for finding in found(text)] == ["warning"]
    assert "`permissions: {}`" in found(text)[0].fix


def test_without_a_workflow_there_is_no_card() -> None:
    (finding,) = workflow_findings({"other.yml": "name: tests"})
    assert (finding.state, finding.fix) == ("warning", "leverframe init")


@pytest.mark.parametrize(
    "text", ["[]", "jobs: [1]", "jobs: {a: 1, b: {steps: 3}}", "on: 5\njobs: {a: {steps: [1]}}", "jobs:"]
)
def test_a_file_of_any_shape_is_looked_at(text: str) -> None:
    assert found(f"# leverframe\n{text}")


def test_the_workflows_of_this_repository_are_fine() -> None:
    texts = {path.name: path.read_text() for path in TEMPLATES.glob("*.yml")}
    assert [finding for finding in workflow_findings(texts) if finding.state == "wrong"] == []


FACTS = ForgeFacts("acme/ml", "main", ("leverframe",), owners_review=True, may_write=True, fork=False, archived=False)


def states(facts: ForgeFacts, *, owners: bool = True) -> list[tuple[str, str]]:
    return [(finding.state, finding.what) for finding in forge_findings(facts, "leverframe", owners=owners)]


def test_a_branch_with_its_rules_is_fine() -> None:
    assert {state for state, _ in states(FACTS)} == {"ok"}


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({"checks": ()}, "wrong", "everybody merges past the gate"),
        ({"owners_review": False}, "warning", "no review from code owners"),
        ({"may_write": False}, "warning", "may only read"),
        ({"fork": True}, "warning", "is a fork"),
        ({"archived": True}, "wrong", "is archived"),
    ],
)
def test_what_a_branch_lacks_is_said(change: dict[str, object], state: str, words: str) -> None:
    facts = ForgeFacts(**{**vars(FACTS), **change})
    (odd,) = [pair for pair in states(facts) if pair[0] != "ok"]
    assert odd[0] == state
    assert words in odd[1]


def test_owners_that_nobody_names_are_said() -> None:
    assert any("CODEOWNERS names nobody" in what for _, what in states(FACTS, owners=False))


def test_findings_stand_by_area_with_a_summary() -> None:
    one, other = Diagnosed("git", "ok", "fine"), Diagnosed("DVC", "wrong", "stale", "dvc repro")
    diagnosis = ordered([one, other, Diagnosed("git", "unknown", "no idea")])
    assert diagnosis.wrong
    assert diagnosis.lines() == [
        "git", "  ok fine", "   ? no idea", "DVC", "  NO stale", "     fix: dvc repro",
        "1 wrong, 1 not looked at, 1 fine",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="needs a fix"):
        Diagnosed("git", "wrong", "bad")
