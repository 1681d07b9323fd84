"""Who posts the card, over the fake GitHub server: the same state whoever did, faults, and whose comment is whose."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from leverframe.domain.review.judge.judged import Judged
from leverframe.local.github.events import workflow_run_event
from leverframe.local.github.server import Fault, LocalForge, serving
from leverframe.local.github.state import PullRequest, Token
from leverframe.local.repository import TemporaryRepository
from tests.loop.forge import BOT, SECRET
from tests.unit.test_report import card, written
from tests.warm import warm

HERE = Path(__file__).parent
NAME = "acme/ml"


@dataclass
class Place:
    """A fake GitHub server with one pull request, and a job that posts cards on it."""

    server: LocalForge
    pull: PullRequest
    folder: Path
    authority: Path

    def post(
        self, *arguments: str, run: int = 7, text: str = "300", cml: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run `leverframe report` on a card of the pull request's head; ``text`` makes cards differ."""
        change = card().parameters[0]
        judged = Judged("main", self.server.repositories[NAME].commit("main"), self.pull.head)
        made = card(head=self.pull.head, parameters=(type(change)(change.name, change.before, text),), judged=judged)
        (self.folder / "card.json").write_bytes(written(made))
        event = workflow_run_event(self.server.repositories[NAME], self.pull, run)
        (self.folder / "event.json").write_text(json.dumps(event), encoding="utf-8")
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        environment = {
            "PATH": f"{self.folder / 'with-cml'}{os.pathsep}{path}" if cml else path,
            "HOME": str(self.folder),
            "GITHUB_EVENT_NAME": "workflow_run",
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_RUN_ID": str(run),
            "GITHUB_API_URL": self.server.address,
            "GITHUB_SERVER_URL": self.server.address,
            "GITHUB_TOKEN": SECRET,
            "REQUESTS_CA_BUNDLE": str(self.authority),
            "NODE_EXTRA_CA_CERTS": str(self.authority),
            "LC_ALL": "C.UTF-8",
        }
        given = ["report", "--judged", "card.json", "--pull", str(self.pull.number), *arguments]
        done = warm().run("leverframe", given, self.folder, environment)
        assert SECRET not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def ours(self) -> list[str]:
        """The bodies of our comments, the mark of another program left aside."""
        bodies = [comment.body for comment in self.pull.comments if comment.author == BOT]
        return [body.partition("\n\n![](https://cml.dev/")[0].rstrip() for body in bodies]

    def checks(self) -> list[tuple[str, str | None, str]]:
        """Our checks on the head, newest last."""
        checks = self.server.repositories[NAME].checks
        return [(check.name, check.conclusion, check.title) for check in checks if check.head == self.pull.head]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A certificate for the loopback, its key, and who signed it."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    paths = (folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    authority.cert_pem.write_to_path(paths[2])
    return paths


@pytest.fixture
def place(tmp_path: Path, certificates: tuple[Path, Path, Path]) -> Iterator[Place]:
    """A fake GitHub server over TLS, which CML needs; at the end no call may have violated the API description."""
    author = TemporaryRepository.create(tmp_path / "author", dvc=False)
    author.write("a", "1")
    author.commit("Start")
    (tmp_path / "with-cml").mkdir()
    shutil.copy(HERE / "cml", tmp_path / "with-cml/cml")
    with serving(tmp_path / "forge", tls=certificates[:2]) as server:
        server.tokens[SECRET] = Token(BOT)
        repository = server.repository(NAME)
        author.git("push", "--quiet", str(repository.path), "HEAD:main", "HEAD:topic")
        yield Place(server, repository.open_pull("A change", "topic"), tmp_path, certificates[2])
        assert server.violations == []


def test_both_publishers_leave_the_same_state(place: Place, tmp_path: Path) -> None:
    """Created, updated, left alone: one comment with the same words and the same checks."""
    states = []
    for publisher in ("cml", "github"):
        place.pull.comments.clear()
        place.server.repositories[NAME].checks.clear()
        for run, text in ((1, "300"), (2, "301"), (3, "301")):
            done = place.post("--publisher", publisher, run=run, text=text, cml=publisher == "cml")
            assert done.returncode == 0, done.stderr
        states.append((place.ours(), place.checks()))
        assert len(place.ours()) == 1
        assert "`301`" in place.ours()[0]
        used = [request for request in place.server.requests if request.path.startswith("/api/v3")]
        assert bool(used) or publisher == "github"
    assert states[0] == states[1]
    assert not (tmp_path / ".gitconfig").exists()  # what CML appends went to a home of its own


def test_auto_takes_cml_where_it_is(place: Place) -> None:
    """And GitHub's interface where it is not."""
    assert "(cml, created)" in place.post("--publisher", "auto", cml=True).stdout
    assert "(github, updated)" in place.post("--publisher", "auto", text="301", run=8).stdout
    assert len(place.ours()) == 1


def test_cml_is_not_asked_where_it_would_post_a_second_comment(place: Place) -> None:
    """It sees 30 comments and its own mark only; ours stands further down, or was written without it."""
    place.post("--publisher", "github", run=1)
    done = place.post("--publisher", "cml", run=2, text="301", cml=True)
    assert done.returncode == 0, done.stderr
    assert len(place.ours()) == 1
    place.pull.comments.clear()
    for number in range(35):
        place.server.repositories[NAME].say(place.pull, "somebody", f"chatter {number}")
    place.post("--publisher", "cml", run=3, cml=True)
    place.post("--publisher", "cml", run=4, text="302", cml=True)
    assert len(place.ours()) == 1
    assert "`302`" in place.ours()[0]


def test_more_than_a_page_of_comments(place: Place) -> None:
    """Ours is found on the second hundred."""
    repository = place.server.repositories[NAME]
    for number in range(130):
        repository.say(place.pull, "somebody", f"chatter {number}")
    place.post("--publisher", "github", run=1)
    place.post("--publisher", "github", run=2, text="301")
    assert len(place.ours()) == 1


def test_a_foreign_comment_with_our_marker_is_not_ours(place: Place) -> None:
    """Somebody copied the card, marker and all: it stays theirs, and ours is posted."""
    place.post("--publisher", "github", run=1)
    stolen = place.pull.comments[0].body
    place.pull.comments.clear()
    place.server.repositories[NAME].say(place.pull, "mallory", stolen)
    place.post("--publisher", "github", run=2, text="301")
    assert place.pull.comments[0].body == stolen
    assert len(place.ours()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", "comments", 502, times=2),
        Fault("GET", "comments", 503),
        Fault("POST", "check-runs", 500),
        Fault("POST", "comments", 403, 1, {"Retry-After": "1"}, {"message": "secondary rate limit"}),
        Fault("GET", "comments", 429, 1, {"Retry-After": "1"}, {"message": "Too many requests"}),
    ],
    ids=lambda fault: f"{fault.method}-{fault.status}",
)
def test_passing_faults_cost_time_only(place: Place, fault: Fault) -> None:
    """Retried until the answer comes; one comment, one check."""
    place.server.faults.append(fault)
    done = place.post("--publisher", "github")
    assert done.returncode == 0, done.stderr
    assert fault.times == 0
    assert len(place.ours()) == 1
    assert len(place.checks()) == 1


def test_a_stale_page_of_comments_leaves_one_comment_all_the_same(place: Place) -> None:
    """The list lags behind and hides our comment: the second one that we post is found and removed."""
    place.post("--publisher", "github", run=1)
    place.server.faults.append(Fault("GET", "issues/1/comments", stale=True))
    done = place.post("--publisher", "github", run=2, text="301")
    assert done.returncode == 0, done.stderr
    assert len(place.ours()) == 1
    assert "`301`" in place.ours()[0]


def test_an_outage_is_told_and_the_card_kept(place: Place) -> None:
    """Exit code of what may be tried again; the card lies on disk."""
    place.server.faults.append(Fault("GET", "comments", 502, times=50))
    done = place.post("--publisher", "github")
    assert done.returncode == 27
    assert "run the job again" in done.stderr
    assert "Leverframe" in (place.folder / ".leverframe/report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("lacking", "line"), [("pull-requests", "pull-requests: write"), ("checks", "checks: write")])
def test_a_missing_permission_is_named_with_the_line_that_grants_it(place: Place, lacking: str, line: str) -> None:
    """The most asked question about bots."""
    writes = tuple(permission for permission in ("contents", "pull-requests", "checks") if permission != lacking)
    place.server.tokens[SECRET] = Token(BOT, writes)
    done = place.post("--publisher", "github")
    assert done.returncode == 26
    assert f"permissions: {{{line}}}" in done.stderr


def test_a_token_that_nobody_knows_and_a_pull_request_that_is_gone(place: Place) -> None:
    """401 and 404 are clear errors too."""
    place.server.tokens.clear()
    assert place.post("--publisher", "github").returncode == 26
    place.server.tokens[SECRET] = Token(BOT)
    place.pull.state = "closed"
    done = place.post("--publisher", "github")
    assert done.returncode == 0
    assert "#1 is closed" in done.stdout


def test_a_dry_run_posts_nothing(place: Place) -> None:
    """It says what it would do."""
    assert "would create" in place.post("--publisher", "github", "--dry-run").stdout
    assert (place.ours(), place.checks()) == ([], [])
    assert [request.method for request in place.server.requests if request.method != "GET"] == []


def test_where_cml_fails_github_posts_and_the_result_says_so(place: Place) -> None:
    """Also where CML was asked for: its last word is told, the token cut out. Later CML finds the comment."""
    program = place.folder / "with-cml/cml"
    program.write_text('#!/bin/sh\necho "no luck with $REPO_TOKEN" >&2\nexit 7\n', encoding="utf-8")
    done = place.post("--publisher", "cml", cml=True)
    assert done.returncode == 0, done.stderr
    assert "(github, created)" in done.stdout
    assert "not posted by CML" in done.stdout
    assert "no luck with ***" in done.stdout
    shutil.copy(HERE / "cml", program)
    assert "(cml, updated)" in place.post("--publisher", "cml", cml=True, run=8, text="301").stdout
    assert (len(place.ours()), len(place.pull.comments)) == (1, 1)


def test_cml_posts_over_many_pushes_and_an_edit_of_ours(place: Place) -> None:
    """One comment, whoever wrote it last: the watermark, by which CML finds it, goes on."""
    for run, (publisher, done) in enumerate(
        (("cml", "cml, created"), ("cml", "cml, updated"), ("github", "github, updated"), ("cml", "cml, updated")), 1
    ):
        assert f"({done})" in place.post("--publisher", publisher, cml=True, run=run, text=f"{run}").stdout
    assert (len(place.ours()), len(place.pull.comments)) == (1, 1)


def test_a_strangers_comment_with_the_watermark_stays_theirs(place: Place) -> None:
    """CML would write the card into it, so GitHub's interface posts a comment of ours."""
    theirs = f'mine\n\n![](https://cml.dev/watermark.png#{"0" * 40} "CML watermark leverframe-model")'
    place.server.repositories[NAME].say(place.pull, "mallory", theirs)
    done = place.post("--publisher", "cml", cml=True)
    assert done.returncode == 0, done.stderr
    assert "it would write over a comment of mallory" in done.stdout
    assert place.pull.comments[0].body == theirs
    assert len(place.ours()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", "comments", 502),
        Fault("POST", "comments", 502, late=True),
        Fault("GET", "comments", 502),
    ],
    ids=["502", "lost response", "list"],
)
def test_one_fault_of_github_costs_cml_nothing_but_the_comment(place: Place, fault: Fault) -> None:
    """CML asks nothing twice: GitHub's interface looks what is there, and posts; one comment, one check."""
    place.server.faults.append(fault)
    done = place.post("--publisher", "cml", cml=True)
    assert done.returncode == 0, done.stderr
    assert (len(place.ours()), len(place.checks())) == (1, 1)


def test_a_conversation_that_is_locked_costs_cml_the_comment_alone(place: Place) -> None:
    """Its last word is GitHub's: nobody can comment there, and the check has the card."""
    place.pull.locked = True
    done = place.post("--publisher", "cml", cml=True)
    assert (done.returncode, done.stdout.partition(";")[0]) == (0, "report posted")
    assert "issue is locked" in done.stdout
    assert "unlock the conversation" in done.stdout
    assert (place.ours(), len(place.checks())) == ([], 1)


def test_where_nobody_asked_for_cml_its_failure_costs_nothing(place: Place) -> None:
    """GitHub's interface posts the card then."""
    (place.folder / "with-cml/cml").write_text("#!/bin/sh\nexit 7\n", encoding="utf-8")
    done = place.post("--publisher", "auto", cml=True)
    assert done.returncode == 0, done.stderr
    assert (len(place.ours()), len(place.checks())) == (1, 1)


def test_pictures_are_kept_on_a_branch_of_their_own(place: Place) -> None:
    """Drawn from the card's numbers, by the digest of their content: the second time nothing is added."""
    repository = place.server.repositories[NAME]
    assert place.post("--publisher", "github", "--assets", run=1).returncode == 0
    first = repository.commit("leverframe-assets")
    assert place.post("--publisher", "github", "--assets", run=2).returncode == 0
    assert repository.commit("leverframe-assets") == first
    assert repository.git("rev-list", "--count", "leverframe-assets").strip() == "1"
    (path,) = repository.git("ls-tree", "-r", "--name-only", "leverframe-assets").split()
    address = f"{place.server.address}/{NAME}/blob/leverframe-assets/{path}"
    assert f"![ROC]({address}?raw=true)" in place.ours()[0]
    context = ssl.create_default_context(cafile=place.authority)
    with urllib.request.urlopen(address, context=context) as answer:  # noqa: S310 - of the fake GitHub server
        assert answer.read().startswith(b"<svg")
    repository.git("update-ref", "-d", "refs/heads/leverframe-assets")


def test_pictures_need_a_permission_of_their_own(place: Place) -> None:
    """Without it the line that grants it is told, and no half card is posted."""
    place.server.tokens[SECRET] = Token(BOT, ("pull-requests", "checks"))
    done = place.post("--publisher", "github", "--assets")
    assert done.returncode == 26
    assert "permissions: {contents: write}" in done.stderr
    assert place.ours() == []
