"""The lines of a CODEOWNERS file for what no code of a base branch can judge: code, workflows, packages, remotes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from leverframe.domain.project import Project
from leverframe.errors import SettingsError, guide_page

_BEGIN = "# Leverframe: what the judge cannot verify{title}. The last line that fits a path decides."
_OWNER = re.compile(r"@[A-Za-z0-9](-?[A-Za-z0-9])*(/[A-Za-z0-9][\w.-]*)?|[\w.+-]+@[\w-]+(\.[\w-]+)+")
_PLACEHOLDERS = ("@login", "@owner", "@you", "@your-login", "@user", "@username", "@org", "@org/team", "@owner/team")
_FILES = ("dvc.yaml", "leverframe.yaml", "requirements.lock", ".dvc/config", ".dvcignore")
_WHOLE = (".gitattributes", ".gitmodules")


def rule(check: str) -> str:
    """Return the rule that a branch needs, in words: only a person can set it."""
    page = guide_page("gate-guarantees.md#what-you-must-set")
    return f"require the check `{check}` and a review from code owners: {page} says why"


def owner(given: str) -> str:
    """Return who owns, as CODEOWNERS names people; raises ``SettingsError`` for a placeholder and anything else."""
    if not _OWNER.fullmatch(given) or given.lower() in _PLACEHOLDERS or given.lower().endswith("@example.com"):
        raise SettingsError(
            f"`{given[:80]}` is no owner",
            why="CODEOWNERS names a login, a team or an address that GitHub knows, and ignores every other line",
            next="name one that may write to the repository, such as `--owner @octo-org/ml`",
        )
    return given


def patterns(project: Project, files: Iterable[str], place: str) -> list[str]:
    """Return the patterns of a project by its files, from its folder; ``place`` is CODEOWNERS."""
    code = [PurePosixPath(path) for path in files if path.endswith((".py", ".sh", ".sql", ".toml", ".cfg"))]
    folders = sorted({path.parts[0] for path in code if len(path.parts) > 1 and path.parts[0] not in (".github", "..")})
    single = [*_FILES, *(["*.py"] if any(len(path.parts) == 1 for path in code) else [])]
    wanted = [f"/{project.prefix}{path}" for path in (*(f"{folder}/" for folder in folders), *single)]
    return [_escaped(path) for path in ("/.github/", f"/{place}", *(f"/{path}" for path in _WHOLE), *wanted)]


def completed_with(text: str, project: Project, owned: Iterable[str], who: str) -> str:
    """Return a CODEOWNERS file with the block of a project at its end; as it is where the block is there."""
    begin = _BEGIN.format(title=project.titled(""))
    if begin in text.splitlines():
        return text
    before = text if not text or text.endswith("\n") else f"{text}\n"
    gap = "\n" if before else ""
    return f"{before}{gap}{begin}\n" + "".join(f"{pattern} {who}\n" for pattern in owned)


def _escaped(path: str) -> str:
    return path.replace(" ", "\\ ")
