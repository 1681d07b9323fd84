"""Infrastructure on GitHub: plans that were reviewed, what was applied, and the issue of a drift.

A check run on the head of a pull request names the digest of the plan that its card shows: only Apps make check runs.
The plan itself lies on a branch under that digest, where nobody trusts it: whoever reads it holds it to the digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property

from github import GithubException
from github.Deployment import Deployment
from github.PullRequest import PullRequest
from github.Repository import Repository

from leverframe.adapters.github import GithubForge
from leverframe.adapters.github.branch_files import kept_file, kept_files
from leverframe.adapters.github.issues import GithubIssues
from leverframe.documents import parsed, plain
from leverframe.domain.infrastructure.drift_issue import DRIFT, drift_subject
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_changed import is_whole
from leverframe.domain.infrastructure.infra_comment import apply_comment
from leverframe.domain.infrastructure.infra_forge import BRANCH, LastApply, ReviewedPull, check_name, kept_at
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.infra_section import changes_to, infra_section
from leverframe.domain.review.report.card_markdown import marker
from leverframe.domain.review.report.post_card import CardPost
from leverframe.domain.review.report.publish import Posting, conclusion, title
from leverframe.errors import PublishError
from leverframe.inert.letters import title as in_title

_TASK = "leverframe-infra"  # tells our deployments from those of models to an environment of the same name
_LARGEST = 20_000_000  # bytes of a plan
_SUMMARY = 60_000  # characters of a check run, which takes 65,535
_BEGUN = ("in_progress", "failure", "error")
_UNKNOWN, _INVALID = 404, 422
_APPLIES = 50  # of an environment that are looked through


class GithubInfra(GithubForge):
    """The ``InfraForge`` port; every call may be made again and does nothing twice."""

    def review(self, planned: InfraPlanned) -> None:
        """Keep a plan that a card shows, then let a check run on its head name its digest; without a plan, none."""
        digest, section = "", infra_section(planned, _SUMMARY)
        if planned.plan is not None:
            digest = planned.plan.digest
            text = json.dumps(plain(planned), ensure_ascii=False, indent=1)
            files = {self._kept_at(planned.environment, digest): f"{text}\n"}
            message = f"Plan of {planned.environment} at {planned.head[:12]}"
            self.asked(
                lambda repository: kept_files(repository, BRANCH, files, message), "keep the plan", "contents: write"
            )
        words = title(planned.verdict) if planned.plan is None or planned.violations else changes_to(planned.plan)

        name, ended = self._check(planned.environment), conclusion(planned.verdict)
        self.checked(name, planned.head, ended, (words, section), "add the check run of the plan", external=digest)

    def pulls_of(self, environment: str, commits: Sequence[str]) -> list[ReviewedPull]:
        """Return the merged pull requests that brought these commits, in the order of their merges, each once."""
        merged: dict[int, PullRequest] = {}
        for commit in commits:
            for pull in self._of_commit(commit):
                merged.setdefault(pull.number, pull)
        ordered = sorted(merged.values(), key=lambda pull: _merged_at(pull, commits))
        return [self._reviewed(environment, pull) for pull in ordered]

    @cached_property
    def _main(self) -> str:
        """The default branch: what was merged into another one comes with the pull request of that."""
        return self.asked(lambda repository: str(repository.default_branch), "read the repository", "contents: read")

    def _of_commit(self, commit: str) -> list[PullRequest]:
        def ask(repository: Repository) -> list[PullRequest]:
            try:
                pulls = list(repository.get_commit(commit).get_pulls())
            except GithubException as error:
                if error.status in (_UNKNOWN, _INVALID):  # a commit that was never pushed
                    return []
                raise
            return [pull for pull in pulls if pull.merged_at is not None and pull.base.ref == self._main]

        return self.asked(ask, "look up the pull request of a commit", "pull-requests: read")

    def _reviewed(self, environment: str, pull: PullRequest) -> ReviewedPull:
        known = ReviewedPull(
            pull.number, pull.html_url, pull.head.sha, pull.merge_commit_sha or "", tuple(_labels(pull))
        )
        digest = self._digest(environment, known.head)
        planned = self.kept(environment, digest) if digest else None
        why = f"no check run `{self._check(environment)}` names a plan of {known.head[:12]}"
        if digest and planned is None:
            why = f"the branch `{BRANCH}` has no plan with the digest {digest[:12]} that the check run names"
        return ReviewedPull(
            known.number, known.url, known.head, known.merged, known.labels, planned, "" if planned else why
        )

    def _digest(self, environment: str, head: str) -> str:
        """Return the digest that the newest check run of a commit names; empty where none does."""
        name = self._check(environment)

        def ask(repository: Repository) -> str:
            runs = repository.get_commit(head).get_check_runs(check_name=name, filter="latest")
            mine = [run for run in runs if run.name == name and run.head_sha == head]
            newest = max(mine, key=lambda run: run.id, default=None)
            return (newest.external_id or "") if newest else ""

        return self.asked(ask, "read the check runs of the pull request", "checks: read")

    def kept(self, environment: str, digest: str) -> InfraPlanned | None:
        """Return the plan that was kept under its digest; None where none was, or its content is another one."""
        if not (len(digest) == 64 and set(digest) <= set("0123456789abcdef")):
            return None
        path = self._kept_at(environment, digest)
        data = self.asked(
            lambda repository: kept_file(repository, BRANCH, path, _LARGEST), "read the reviewed plan", "contents: read"
        )
        try:
            planned = parsed(InfraPlanned, data or b"")
        except ValueError:
            return None
        plan = planned.plan
        fits = planned.environment == environment and plan is not None and plan.digest == digest and is_whole(plan)
        return planned if fits else None

    def labels(self, number: int) -> tuple[str, ...]:
        """Return the labels of a pull request as they are now."""
        return self.asked(
            lambda repository: tuple(_labels(repository.get_pull(number))),
            "read the labels of the pull request",
            "pull-requests: read",
        )

    def last(self, environment: str) -> LastApply:
        """Return which commit was applied last, and which one began to be and did not end."""

        def ask(repository: Repository) -> LastApply:
            begun = ""
            for deployment in _newest(repository, self._project.prefix + environment):
                states = [status.state for status in deployment.get_statuses()]
                lasting = [state for state in states if state != "inactive"]
                if lasting and lasting[0] in _BEGUN and not begun:
                    begun = deployment.sha
                if "success" in lasting:
                    return LastApply(deployment.sha, begun)
            return LastApply("", begun)

        return self.asked(ask, "look up what was applied last", "deployments: read")

    def begin(self, environment: str, commit: str) -> None:
        """Record that Terraform is let at the resources now, for a run that is killed to be known."""
        self._state(environment, commit, "in_progress", "Terraform applies the plan")

    def record(self, applied: InfraApplied) -> tuple[str, ...]:
        """Record how an apply ended, on its deployment and as one comment a pull request; return their addresses."""
        if applied.applied or applied.begun:
            words = changes_to(applied.plan) if applied.plan else "applied"
            ended = "success" if applied.applied else "failure"
            self._state(applied.environment, applied.head, ended, words)
        return tuple(self._commented(number, applied) for number in applied.pulls)

    def show_drift(self, planned: InfraPlanned, label: str) -> str:
        """Bring the one issue of an environment up to date and return its address; empty where there is none."""
        issues, subject = GithubIssues(self._api, self._name, self._token), drift_subject(planned, self._project)
        if subject is not None:
            return DRIFT.shown(issues, label, subject)
        mine = DRIFT.of(issues.listed(label), self._project.key(planned.environment))
        return mine.url if mine else ""

    def _state(self, environment: str, commit: str, state: str, description: str) -> None:
        """Add a state to the deployment of a commit, which is added where there is none, unless it is its newest."""
        place = self._project.prefix + environment

        def ask(repository: Repository) -> None:
            known = next(iter(repository.get_deployments(sha=commit, environment=place, task=_TASK)), None)
            deployment = known or repository.create_deployment(
                ref=commit, task=_TASK, environment=place, description="Infrastructure", auto_merge=False,
                required_contexts=[],
            )  # fmt: skip
            newest = next(iter(deployment.get_statuses()), None)
            if newest is None or (newest.state, newest.description) != (state, in_title(description, 140)):
                deployment.create_status(state, description=in_title(description, 140), auto_inactive=False)

        self.asked(ask, "record the apply", "deployments: write")

    def _check(self, environment: str) -> str:
        return self._project.titled(check_name(environment))

    def _kept_at(self, environment: str, digest: str) -> str:
        return self._project.prefix + kept_at(environment, digest)

    def _commented(self, number: int, applied: InfraApplied) -> str:
        """Return the address of our comment on a pull request, which is brought up to date."""
        key = self._project.key(f"infra-{applied.environment}")
        body = f"{marker(key, applied.head)}\n{apply_comment(applied)}\n"
        try:
            posting = Posting(key, body, applied.head, applied.verdict, "")
            return CardPost(self, number, posting).comment(dry=False).place
        except PublishError as error:
            if not error.closed:
                raise
            return f"no comment on #{number}: {error.why}"


def _newest(repository: Repository, environment: str) -> Iterator[Deployment]:
    deployments = repository.get_deployments(environment=environment, task=_TASK)
    for _, deployment in zip(range(_APPLIES), deployments, strict=False):
        yield deployment


def _labels(pull: PullRequest) -> list[str]:
    return [label.name for label in pull.labels]


def _merged_at(pull: PullRequest, commits: Sequence[str]) -> tuple[str, int]:
    merged = pull.merge_commit_sha or ""
    return pull.merged_at.isoformat() if pull.merged_at else "", commits.index(merged) if merged in commits else -1
