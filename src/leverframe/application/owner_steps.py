"""Who has to approve what the judge cannot verify: lines of CODEOWNERS, and the branch rule that asks for them."""

from __future__ import annotations

import os
import re

from leverframe.application.workspace import Workspace
from leverframe.domain.codeowners import PLACES
from leverframe.domain.pipeline.init import OnForge, Step, WriteFile, workflow_file
from leverframe.domain.pipeline.owner_lines import completed_with, owner, patterns, rule
from leverframe.domain.review.report.publish import check_name

_FORMER = re.compile(r"^ +card: card/report\.json$", re.MULTILINE)
_WHY = "the judge runs no code of a change, so a code owner has to approve it"


def former_steps(workspace: Workspace) -> list[Step]:
    """Return what to do with a workflow from before the judge existed: `init` replaces no file that is there."""
    top, name = workspace.git.top(), workflow_file(workspace.project)
    text = (top / name).read_text(encoding="utf-8", errors="replace") if (top / name).is_file() else ""
    if not _FORMER.search(text):
        return []
    why = "its job `card` posts what the code of a change says of itself, which is no verdict"
    return [
        OnForge(f"{name} was written before the judge existed", why, f"`git rm {name}`, then `leverframe init` again")
    ]


def owner_steps(workspace: Workspace, given: str | None, *, first: bool) -> list[Step]:
    """Return the step that adds the lines for ``given``, and ``first`` what a person has to set on the forge.

    Raises ``SettingsError`` where the owner is a placeholder. Lines that are there stay as they are.
    """
    project, top = workspace.project, workspace.git.top()
    place = next((place for place in PLACES if (top / place).is_file()), PLACES[0])
    globs = patterns(project, workspace.git.files(), place)
    steps = list[Step]()
    if given:
        text = (top / place).read_text(encoding="utf-8") if (top / place).is_file() else ""
        wanted = completed_with(text, project, globs, owner(given))
        path = os.path.normpath(os.path.join(os.path.relpath(top, workspace.root.resolve()), place))  # noqa: PTH118
        steps += [WriteFile(path, wanted, _WHY)] if wanted != text else []
    elif first:
        lines = ", ".join(f"`{pattern}`" for pattern in globs)
        steps.append(OnForge(f"{place} names no owner", _WHY, f"`leverframe init --owner @LOGIN` adds {lines}"))
    if first:
        required = rule(project.titled(check_name("model")))
        asked = "`init` did not ask whether the branch has a rule"
        steps.append(OnForge(asked, "without one everybody merges past the gate", required))
    return steps
