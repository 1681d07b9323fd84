"""CML's own program, called in the one way that neither rewrites the report nor uploads anything.

`cml comment update` (0.20.6) looks at the first page of comments only. It takes the first one that has its watermark
with any commit, whoever wrote it; so it is asked only where that is known to be the right comment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.domain.review.report.github_refusals import closed
from leverframe.domain.review.report.publish import Comment
from leverframe.errors import PublishError
from leverframe.redaction import redacted

PAGE = 30  # comments that CML looks at
_TIMEOUT = 45.0  # seconds; it takes about one, and waits without an end where GitHub limits it
_KEPT = ("PATH", "LANG", "LC_ALL", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


def found() -> str | None:
    """Return where the program is; None where it is not on PATH."""
    return shutil.which("cml")


def title(key: str) -> str:
    """Return the title of the watermark of a card, of letters, digits and dashes: CML finds no other again."""
    return f"leverframe-{key}"


def watermark(title: str, commit: str) -> str:
    """Return the line by which CML finds a comment again: with it, CML takes one over that somebody else wrote."""
    return f'![](https://cml.dev/watermark.png#{commit} "CML watermark {title}")'


def misses(comments: list[Comment], mine: Comment | None, title: str) -> str:
    """Return why CML would not update the comment that is ours, or not rightly post a new one; empty where it would."""
    mark = re.compile(re.escape(watermark(title, "#")).replace(r"\#\#", "#[0-9a-f]+"))
    taken = next((comment for comment in comments[:PAGE] if mark.search(comment.body)), None)
    if taken == mine:
        return ""
    if taken is not None:
        return f"it would write over a comment of {taken.author} that has its watermark"
    listed = mine in comments[:PAGE]
    return "our comment lacks its watermark" if listed else f"our comment is not among the first {PAGE}"


def comment(server: str, where: tuple[str, int, str], token: str, body: str, *, title: str) -> None:
    """Post ``body`` on a pull request, or update what was posted with the same title.

    ``where`` is the repository, the number of the pull request, and the commit at its head: without one, CML's
    watermark has none and is never found again. ``title`` is of letters, digits and dashes. The token goes through the
    environment alone, and the home folder is an empty one, as CML writes to the configuration of git. Raises
    ``PublishError``.
    """
    repository, number, commit = where
    program = found()
    if program is None:
        raise PublishError("there is no `cml` on PATH", why="the publisher is `cml`", next="use the action `setup`")
    with TemporaryDirectory(prefix="leverframe-cml-") as home:
        report = Path(home, "report.md")
        report.write_text(body, encoding="utf-8")
        arguments = [
            program, "comment", "update", "--no-publish", "--target", f"pr/{number}",
            "--watermark-title", title, "--driver", "github", "--repo", f"{server}/{repository}", str(report),
        ]  # fmt: skip
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {"HOME": home, "REPO_TOKEN": token, "GITHUB_SHA": commit, "ITERATIVE_DO_NOT_TRACK": "1"}
        try:
            done = subprocess.run(
                arguments,
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PublishError(
                "`cml` did not answer", why=type(error).__name__, next="use `--publisher github`"
            ) from None
    if done.returncode != 0:
        last = redacted((done.stderr or done.stdout).replace(token, "***")).strip().splitlines()[-1:]
        raise PublishError(
            "`cml comment update` failed",
            why=f"it ended with {done.returncode}: {last[0][:200] if last else 'no word'}",
            next=closed("".join(last)) or "`--publisher github` posts the same card without it",
            closed=bool(closed("".join(last))),
        )
