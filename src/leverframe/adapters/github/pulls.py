"""Pull requests of retraining on GitHub: opened, kept up to date, drafts, auto-merge, and their checks dispatched."""

from __future__ import annotations

from functools import cached_property

from github import GithubException
from github.PullRequest import PullRequest
from github.Repository import Repository
from github.Workflow import Workflow

from leverframe.adapters.github.calls import Calls
from leverframe.domain.retraining.pulls.pull_ports import PullToOpen
from leverframe.domain.retraining.pulls.pull_record import read
from leverframe.domain.retraining.pulls.pull_state import StandingPull
from leverframe.errors import PublishError
from leverframe.inert.letters import title as in_title

BOT = "github-actions[bot]"  # whose pull requests and pushes start no workflow
_WRITE = "pull-requests: write"
_BOTH = "contents: write, pull-requests: write"
_UNKNOWN, _INVALID, _FORBIDDEN, _LIMITED = 404, 422, 403, 429
_GRAPHQL = 400  # errors of GraphQL come with a status of success, and PyGithub makes this of it


class GithubPulls(Calls):
    """The ``PullForge`` port; what GitHub did although it said otherwise is looked up, and not done again."""

    def target(self) -> str:
        """Return the name of the default branch."""
        return self.asked(lambda repository: str(repository.default_branch), "read the repository", "contents: read")

    def pulls(self, branch: str) -> list[StandingPull]:
        """Return every pull request from a branch of this repository, wherever it goes, newest first."""

        def ask(repository: Repository) -> list[StandingPull]:
            listed = repository.get_pulls(state="all", head=self._head(branch), sort="created", direction="desc")
            pulls = (_standing(pull) for pull in listed if _is_from_here(pull))
            return sorted(pulls, key=lambda pull: -pull.number)

        return self.asked(ask, "list the pull requests", "pull-requests: read")

    def opened(self, opening: PullToOpen) -> StandingPull:
        """Open a pull request, or return the open one from its branch to its target."""

        def ask(repository: Repository) -> StandingPull:
            try:
                made = _created(repository, opening, draft=opening.draft)
            except GithubException as error:
                if error.status != _INVALID:
                    raise
                there = self._open(repository, opening)
                if there is not None:
                    return _standing(there)  # the response was lost, and asked again
                if not (opening.draft and "draft" in str(error.data).lower()):
                    raise
                made = _created(repository, opening, draft=False)
            return _standing(made)

        return self.asked(ask, "open the pull request", _WRITE)

    def edited(self, number: int, body: str, *, closed: bool = False) -> None:
        """Replace the body of a pull request, and close it by the same request where that is asked for."""

        def ask(repository: Repository) -> None:
            pull = repository.get_pull(number)
            if closed:
                pull.edit(body=body, state="closed")
            else:
                pull.edit(body=body)

        self.asked(ask, f"{'close' if closed else 'update'} the pull request #{number}", _WRITE)

    def drafted(self, number: int, *, draft: bool) -> None:
        """Make a pull request a draft, or ready for review: REST cannot, GraphQL can."""

        def ask(repository: Repository) -> None:
            pull = repository.get_pull(number)
            if bool(pull.draft) == draft:
                return
            try:
                if draft:
                    pull.convert_to_draft()
                else:
                    pull.mark_ready_for_review()
            except GithubException as error:
                _raise_unless_refused(error)
                if bool(repository.get_pull(number).draft) != draft:  # else the response was lost, and asked again
                    raise GithubException(_INVALID, {"message": _said(error)}) from error

        self.asked(ask, f"mark #{number} as {'a draft' if draft else 'ready'}", _WRITE)

    def auto_merge(self, number: int, head: str, *, on: bool) -> str:
        """Let GitHub merge this head once what is required has passed, or not; return why it refused."""

        def ask(repository: Repository) -> str:
            pull = repository.get_pull(number)
            if bool(pull.auto_merge) == on:
                return ""
            try:
                if on:
                    pull.enable_automerge(merge_method=_method(repository), expected_head_oid=head)
                else:
                    pull.disable_automerge()
            except GithubException as error:
                _raise_unless_refused(error)
                done = bool(repository.get_pull(number).auto_merge) == on
                if not (on or done):
                    raise GithubException(_INVALID, {"message": _said(error)}) from error
                return "" if done else _said(error)
            return ""

        return self.asked(ask, f"switch auto-merge {'on' if on else 'off'} for #{number}", _BOTH)

    def comments(self, number: int) -> list[str]:
        """Return the bodies of the comments of a pull request."""
        return self.asked(
            lambda repository: [comment.body or "" for comment in repository.get_issue(number).get_comments()],
            "read the comments of the pull request",
            _WRITE,
        )

    def comment(self, number: int, body: str) -> None:
        """Add a comment; one whose response was lost is not added again."""

        def ask(repository: Repository) -> bool:
            repository.get_issue(number).create_comment(body)
            return True

        self.once(ask, lambda: body in self.comments(number) or None, f"comment on #{number}", _WRITE)

    @cached_property
    def _login(self) -> str:
        def ask(_: Repository) -> str:
            try:
                _headers, answer = self._github.requester.graphql_query("query { viewer { login } }", {})
            except GithubException as error:
                _raise_unless_refused(error)
                raise
            return str(answer["data"]["viewer"]["login"])

        return self.asked(ask, "tell who we are", "")

    def starts_checks(self) -> bool:
        """Tell whether what this token opens and pushes starts workflows; that of a workflow's own does not."""
        return self._login != BOT

    def dispatched(self, workflow: str, branch: str, head: str) -> None:
        """Start a workflow on a branch, unless it was started by hand for this head before."""

        def ask(repository: Repository) -> bool:
            _dispatch(repository, workflow, branch, head)
            return True

        self.once(ask, lambda: None, f"start {workflow}", "actions: write")  # `ask` looks itself before it writes

    def _head(self, branch: str) -> str:
        return f"{self._name.partition('/')[0]}:{branch}"

    def _open(self, repository: Repository, opening: PullToOpen) -> PullRequest | None:
        listed = repository.get_pulls(state="open", head=self._head(opening.branch), base=opening.target)
        return next((pull for pull in listed if _is_from_here(pull)), None)


def _is_from_here(pull: PullRequest) -> bool:
    """Tell whether the branch is of this repository: GitHub filters by owner, who may have a fork of it as well."""
    return pull.head.repo is not None and pull.head.repo.full_name == pull.base.repo.full_name


def _created(repository: Repository, opening: PullToOpen, *, draft: bool) -> PullRequest:
    return repository.create_pull(
        opening.target,
        opening.branch,
        title=in_title(opening.title),
        body=opening.body,
        draft=draft,
        maintainer_can_modify=False,
    )


def _dispatch(repository: Repository, workflow: str, branch: str, head: str) -> None:
    started: Workflow = repository.get_workflow(workflow)
    try:
        runs = started.get_runs(event="workflow_dispatch", head_sha=head)
        if next(iter(runs), None) is None:
            started.create_dispatch(branch, throw=True)
    except GithubException as error:
        if error.status not in (_UNKNOWN, _INVALID):
            raise
        words = error.data.get("message", "") if isinstance(error.data, dict) else ""
        raise PublishError(
            f"GitHub refused to start {workflow} on {branch}",
            why=f"it answered {error.status}: {words}"[:200],
            next=f"let .github/workflows/{workflow} have `on: workflow_dispatch` on the default branch, or name the "
            "file that checks pull requests in `retrain.workflow`",
        ) from error


def _method(repository: Repository) -> str:
    """Return a way to merge that the repository allows; who may not push is told none, and gets a merge commit."""
    if repository.allow_merge_commit is False:
        return "REBASE" if repository.allow_squash_merge is False else "SQUASH"
    return "MERGE"


def _raise_unless_refused(error: GithubException) -> None:
    """Raise an error of GraphQL with the status that REST has for it, unless it says that this may not be done now."""
    errors = error.data.get("errors", []) if isinstance(error.data, dict) else []
    kinds = {str(fault.get("type", "")) for fault in errors}
    if error.status != _GRAPHQL:
        raise error
    status = _LIMITED if "RATE_LIMITED" in kinds else _FORBIDDEN if kinds & {"FORBIDDEN", "INSUFFICIENT_SCOPES"} else 0
    if status:
        raise GithubException(status, {"message": _said(error)}) from error


def _said(error: GithubException) -> str:
    errors = error.data.get("errors", []) if isinstance(error.data, dict) else []
    return "; ".join(str(fault.get("message", "")) for fault in errors)[:300] or "it gave no reason"


def _standing(pull: PullRequest) -> StandingPull:
    """Return what a list tells already: another request for each would be one too many."""
    record = read(pull.body or "")
    merged = pull.merged_at is not None
    return StandingPull(
        number=pull.number,
        url=pull.html_url,
        open=pull.state == "open",
        merged=merged,
        draft=bool(pull.draft),
        title=pull.title,
        body=pull.body or "",
        head=pull.head.sha,
        author=pull.user.login if pull.user else "",
        evidence=record.evidence if record else "",
        made=record.made if record else "",
        auto_merge=bool(pull.auto_merge),
        merge_commit=(pull.merge_commit_sha or "") if merged else "",
        merged_at=pull.merged_at.isoformat() if pull.merged_at else "",
        labels=tuple(label.name for label in pull.labels),
        target=pull.base.ref,
    )
