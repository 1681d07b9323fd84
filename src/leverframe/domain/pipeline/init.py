"""The set-up of a repository for pull requests, as idempotent steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DRIVER = "leverframe"
ATTRIBUTES = (f"dvc.lock merge={DRIVER}", f"reports/** merge={DRIVER}", f"models/*.json merge={DRIVER}")
WORKFLOW = ".github/workflows/leverframe.yml"
_CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"


@dataclass(frozen=True)
class WriteFile:
    """A file to create or complete, with its new content."""

    path: str
    content: str
    why: str


@dataclass(frozen=True)
class SetConfig:
    """A key of the git configuration of this clone."""

    key: str
    value: str
    why: str


Step = WriteFile | SetConfig


def steps(files: Mapping[str, str | None], config: Mapping[str, str], program: str, actions: str) -> list[Step]:
    """Return the missing steps, none if the repository is set up.

    ``files`` holds the text of each file, None for a missing one; ``program`` is the command by which
    git starts Leverframe; ``actions`` is the location of the actions with their pinned commit.
    """
    found: list[Step] = []
    attributes = files.get(".gitattributes") or ""
    missing = [each for each in ATTRIBUTES if each not in attributes.splitlines()]
    if missing:
        text = attributes + ("\n" if attributes and not attributes.endswith("\n") else "") + "\n".join(missing) + "\n"
        found.append(
            WriteFile(".gitattributes", text, "pull requests that change dvc.lock merge without conflict markers")
        )
    for key, value in (
        (f"merge.{DRIVER}.name", "dvc.lock, merged stage by stage"),
        (f"merge.{DRIVER}.driver", f"{program} merge %O %A %B %P"),
    ):
        if config.get(key) != value:
            found.append(SetConfig(key, value, "git in this clone calls the merge driver"))
    if files.get(WORKFLOW) is None:
        found.append(WriteFile(WORKFLOW, workflow(actions), "every pull request gets a card"))
    return found


def described(step: Step) -> str:
    """Return a step as one line."""
    if isinstance(step, WriteFile):
        return f"write {step.path}: {step.why}"
    return f"git config {step.key}: {step.why}"


def workflow(actions: str) -> str:
    """Return the one workflow file of a repository; ``actions`` as in ``OWNER/NAME/actions@COMMIT # vX.Y.Z``."""
    place, _, version = actions.partition("@")

    def use(action: str) -> str:
        return f"{place}/{action}@{version}"

    base = "          base: origin/${{ github.base_ref }}"
    levers = [
        line
        for name in ("check", "reproduce", "gate")
        for line in (f"      - uses: {use(name)}", "        continue-on-error: true", "        with:", base)
    ]
    return "\n".join(
        [
            "# Written by `leverframe init`. Every pull request gets one card that says whether to merge and why.",
            "# The job `model` runs the code of the pull request, without a token that may write. The job `card` has",
            "# such a token and runs none of that code. For a fork, the card is the summary of the job `model`.",
            "name: leverframe",
            "on: pull_request",
            "permissions: {}",
            "concurrency:",
            "  group: leverframe-${{ github.event.pull_request.number }}",
            "  cancel-in-progress: true",
            "jobs:",
            "  model:",
            "    name: model",
            "    runs-on: ubuntu-24.04",
            "    timeout-minutes: 60",
            "    permissions:",
            "      contents: read # to check out the repository",
            "    steps:",
            f"      - uses: {_CHECKOUT}",
            "        with:",
            "          ref: ${{ github.event.pull_request.head.sha }}",
            "          fetch-depth: 0 # the merge base needs the history",
            "          persist-credentials: false",
            f"      - uses: {use('setup')}",
            *levers,
            f"      - uses: {use('report')}",
            "        with:",
            base,
            "          publisher: summary",
            '          token: ""',
            '          exit_code: "true" # a failed verdict fails the job',
            "      - if: ${{ !cancelled() }}",
            "        uses: actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0",
            "        with:",
            "          name: leverframe-report",
            "          path: .leverframe/report.json",
            "          include-hidden-files: true",
            "          if-no-files-found: error",
            "  card:",
            "    name: card",
            "    needs: model",
            "    if: ${{ !cancelled() && github.event.pull_request.head.repo.full_name == github.repository }}",
            "    runs-on: ubuntu-24.04",
            "    timeout-minutes: 15",
            "    permissions:",
            "      checks: write # to add the check run with the verdict of the gate",
            "      contents: read # to check out the base branch",
            "      pull-requests: write # to post the card",
            "    steps:",
            f"      - uses: {_CHECKOUT}",
            "        with:",
            "          ref: ${{ github.event.pull_request.base.sha }}",
            "          persist-credentials: false",
            f"      - uses: {use('setup')}",
            "      - uses: actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c # v8.0.1",
            "        with:",
            "          name: leverframe-report",
            "          path: card",
            f"      - uses: {use('report')}",
            "        with:",
            "          card: card/report.json",
            "",
        ]
    )
