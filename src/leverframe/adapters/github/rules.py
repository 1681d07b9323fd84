"""What GitHub says of a repository itself: the rules of a branch, and what our token may do."""

from __future__ import annotations

from typing import Any

from github.Repository import Repository

from leverframe.adapters.github.calls import Calls
from leverframe.domain.doctor.forge_findings import ForgeFacts


class GithubRules(Calls):
    """Reads, and never writes."""

    def facts(self, branch: str) -> ForgeFacts:
        """Return what holds for ``branch``, by default the default one; raises ``PublishError``."""

        def ask(repository: Repository) -> ForgeFacts:
            repository.complete()
            name = branch or str(repository.default_branch)
            _, rules = repository.requester.requestJsonAndCheck("GET", f"{repository.url}/rules/branches/{name}")
            permissions = repository.permissions
            return ForgeFacts(
                repository=str(repository.full_name),
                branch=name,
                checks=tuple(_checks(rules)),
                owners_review=any(_parameters(rule).get("require_code_owner_review") for rule in _listed(rules)),
                may_write=bool(permissions and permissions.push),
                fork=bool(repository.fork),
                archived=bool(repository.archived),
            )

        return self.asked(ask, "read the rules of the branch", "metadata: read")


def _listed(rules: Any) -> list[dict[str, Any]]:
    return [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []


def _parameters(rule: dict[str, Any]) -> dict[str, Any]:
    parameters = rule.get("parameters")
    return parameters if isinstance(parameters, dict) else {}


def _checks(rules: Any) -> list[str]:
    return [
        str(check.get("context", ""))
        for rule in _listed(rules)
        if rule.get("type") == "required_status_checks"
        for check in _parameters(rule).get("required_status_checks") or ()
        if isinstance(check, dict)
    ]
