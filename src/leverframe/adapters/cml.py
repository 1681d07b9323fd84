"""CML's own program, called in the one way that neither rewrites the report nor uploads anything.

`cml comment update` (0.20.6) looks at the first page of comments only. It takes the last one there that has its
watermark with any commit, whoever wrote it; so it is asked only where that is known to be the right comment. Where
GitHub limits it, it waits for half a minute and more, again and again: it is ended long before.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from leverframe.domain.review.report.github_refusals import closed
from leverframe.domain.review.report.post_card import PostedElsewhere, Refused
from leverframe.domain.review.report.publish import Comment, Posting
from leverframe.errors import PipelineError, PublishError
from leverframe.programs import RunGroup
from leverframe.redaction import redacted

PAGE = 30  # comments that CML looks at
_TIMEOUT = 20.0  # seconds; it takes about two
_WITHOUT = "`--publisher github` posts the same card without it"
_PLACE = re.compile(r"https?://\S+#issuecomment-\d+")
_KEPT = ("PATH", "LANG", "LC_ALL", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


def executable() -> str | None:
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
    mark = re.compile(re.escape(watermark(title, "#")).replace(r"\#\#", "#[0-9a-fA-F]+"))
    taken = next((comment for comment in reversed(comments[:PAGE]) if mark.search(comment.body)), None)
    if taken == mine:
        return ""
    if taken is not None and (mine is None or taken.author != mine.author):
        return f"it would write over a comment of {taken.author} that has its watermark"
    if taken is not None:
        return "it would write over another comment of ours"
    return (
        "our comment lacks its watermark" if mine in comments[:PAGE] else f"our comment is not among the first {PAGE}"
    )


@dataclass(frozen=True)
class ByCml:
    """Lets CML post a comment where it finds the right one; where it does not, or fails, it says why.

    ``where`` is the repository, the number of the pull request, and the commit at its head: without one, CML's
    watermark has none and is never found again. CML is ended after ``seconds``, with all that it started: it posts
    nothing later.
    """

    server: str
    where: tuple[str, int, str]
    token: str
    posting: Posting
    run: RunGroup
    seconds: float = _TIMEOUT

    def __call__(self, comments: list[Comment], mine: Comment | None) -> PostedElsewhere | Refused:
        """Post the comment, given all that are there, and ours."""
        program = executable()
        if program is None:
            return Refused("not posted by CML: there is no `cml` on PATH")
        missed = misses(comments, mine, title(self.posting.key))
        if missed:
            return Refused(f"not posted by CML: {missed}")
        try:
            return PostedElsewhere(self._posted(program))
        except PublishError as error:
            return Refused(f"not posted by CML: {error.what}: {error.why}", tried=True)

    def _posted(self, program: str) -> str:
        """Let CML post or update its comment and return the address; raises ``PublishError`` where it told none.

        The token goes through the environment alone, and the home folder is an empty one, as CML writes to the
        configuration of git.
        """
        repository, number, commit = self.where
        lines: list[str] = []
        with TemporaryDirectory(prefix="leverframe-cml-") as home:
            report = Path(home, "report.md")
            report.write_text(self.posting.body, encoding="utf-8")
            arguments = [
                program, "comment", "update", "--no-publish", "--target", f"pr/{number}", "--watermark-title",
                title(self.posting.key), "--driver", "github", "--repo", f"{self.server}/{repository}", str(report),
            ]  # fmt: skip
            environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
            environment |= {"HOME": home, "REPO_TOKEN": self.token, "GITHUB_SHA": commit, "ITERATIVE_DO_NOT_TRACK": "1"}
            try:
                code = self.run(
                    arguments, lines.append, folder=Path(home), environment=environment, timeout=self.seconds
                )
            except PipelineError as error:
                raise PublishError("`cml` did not answer", why=error.why, next=_WITHOUT) from None
        places = [str(place) for line in lines for place in _PLACE.findall(line)]
        if code == 0 and places:
            return places[-1]
        words = [redacted(line.replace(self.token, "***")).strip() for line in lines]
        last = next((line for line in reversed(words) if line), "")
        why = f"it ended with {code}{' and no comment' * (code == 0)}: {last[:200] or 'no word'}"
        raise PublishError("`cml comment update` failed", why=why, next=closed(last) or _WITHOUT)
