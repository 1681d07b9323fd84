"""CML's own program, called in the one way that neither rewrites the report nor uploads anything.

`cml comment update` looks at the first page of comments only, and at its watermark rather than ours;
so it is asked only where that is known to find the right comment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.domain.review.report.github_refusals import closed
from leverframe.domain.review.report.publish import Comment
from leverframe.errors import PublishError
from leverframe.redaction import redacted

PAGE = 30  # comments that CML looks at
_TIMEOUT = 120.0  # seconds
_KEPT = ("PATH", "LANG", "LC_ALL", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


def found() -> str | None:
    """Return where the program is; None where it is not on PATH."""
    return shutil.which("cml")


def marked(body: str) -> bool:
    """Tell whether CML wrote a comment: it leaves a picture as its mark."""
    return "watermark" in body.rpartition("\n")[2] and "CML watermark" in body


def finds(comments: list[Comment], mine: Comment | None) -> bool:
    """Tell whether CML would update the comment that is ours, or rightly find none."""
    if mine is None:
        return True
    return marked(mine.body) and mine in comments[:PAGE]


def comment(server: str, repository: str, number: int, token: str, body: str, *, title: str) -> None:
    """Post ``body`` on a pull request, or update what was posted with the same title.

    ``title`` is of letters, digits and dashes. The token goes through the environment alone, and the
    home folder is an empty one, as CML writes to the configuration of git. Raises ``PublishError``.
    """
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
        environment |= {"HOME": home, "REPO_TOKEN": token, "ITERATIVE_DO_NOT_TRACK": "1"}
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
