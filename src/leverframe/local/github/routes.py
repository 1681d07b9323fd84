"""The REST API of the local forge: accounts, checks and pull requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from leverframe.local.github import comments, deployments, git_data, issues, reviews, schema, workflow_runs
from leverframe.local.github.calls import (
    BOT,
    LONGEST,
    REPOSITORY,
    Call,
    Refused,
    Response,
    Route,
    may,
    node,
    page,
    path,
    person,
)
from leverframe.local.github.state import Check, PullRequest, Repository

_WHEN = "2013-01-01T00:00:00Z"  # of a merge that a test only says


def respond(call: Call, repositories: Mapping[str, Repository]) -> Response:
    """Return the response of GitHub; raises ``Refused`` for an error response."""
    if call.template == "/user":
        return _user(call)
    if call.template == reviews.MEMBERSHIP:
        return reviews.membership(call, repositories.values())
    repository = repositories.get(f"{call.variables.get('owner')}/{call.variables.get('repo')}")
    if repository is None:
        raise Refused(404, "Not Found")
    return _ROUTES[call.method, call.template](call, repository)


def _user(call: Call) -> Response:
    if call.token.of_workflow:
        raise Refused(403, "Resource not accessible by integration")
    return Response(200, schema.response("/user", "get", 200, person(call.token.login)))


def _pull(call: Call, repository: Repository) -> PullRequest:
    number = call.variables.get("pull_number") or ""
    pull = repository.pulls.get(int(number)) if number.isdigit() else None
    if pull is None:
        raise Refused(404, "Not Found")
    return pull


def _check_body(call: Call, repository: Repository, check: Check) -> dict[str, Any]:
    return {
        "id": check.number,
        "head_sha": check.head,
        "external_id": check.external_id,
        "name": check.name,
        "status": check.status,
        "conclusion": check.conclusion,
        "html_url": f"{call.address}/{repository.full_name}/runs/{check.number}",
        "output": {"title": check.title, "summary": check.summary},
        "check_suite": {"id": check.number},
    }


def _may_check(call: Call, repository: Repository) -> None:
    """Raise ``Refused`` where the token may not: GitHub takes checks from Apps alone, and no person is one."""
    if not call.token.of_workflow:
        raise Refused(403, "You must authenticate via a GitHub App.")
    may(call, "checks")
    if repository.archived:
        raise Refused(403, "Repository was archived so is read-only.")


def _new_check(call: Call, repository: Repository) -> Response:
    _may_check(call, repository)
    if not repository.commit(call.body["head_sha"]):
        raise Refused(422, f"No commit found for SHA: {call.body['head_sha']}")
    output = call.body.get("output", {})
    status = "completed" if call.body.get("conclusion") else call.body.get("status", "queued")
    check = Check(
        next(repository.identifiers), call.body["head_sha"], call.body["name"], status, call.body.get("conclusion"),
        output.get("title", ""), output.get("summary", ""), call.body.get("external_id", ""),
    )  # fmt: skip
    repository.checks.append(check)
    repository.settle()
    return Response(201, schema.response(call.template, "post", 201, _check_body(call, repository, check)))


def _known_check(call: Call, repository: Repository) -> Check:
    check = next((check for check in repository.checks if str(check.number) == call.variables["check_run_id"]), None)
    if check is None:
        raise Refused(404, "Not Found")
    return check


def _one_check(call: Call, repository: Repository) -> Response:
    body = _check_body(call, repository, _known_check(call, repository))
    return Response(200, schema.response(call.template, "get", 200, body))


def _edit_check(call: Call, repository: Repository) -> Response:
    _may_check(call, repository)
    check = _known_check(call, repository)
    output = call.body.get("output", {})
    changed = replace(
        check,
        status=call.body.get("status", check.status),
        conclusion=call.body.get("conclusion", check.conclusion),
        title=output.get("title", check.title),
        summary=output.get("summary", check.summary),
    )
    repository.checks[repository.checks.index(check)] = changed
    repository.settle()
    return Response(200, schema.response(call.template, "patch", 200, _check_body(call, repository, changed)))


def _checks(call: Call, repository: Repository) -> Response:
    """Return one page of the check runs of a commit: the newest of each name, or with `filter=all` every one."""
    head, wanted = repository.commit(call.variables["ref"]), call.query.get("check_name")
    if not head:
        raise Refused(422, f"No commit found for SHA: {call.variables['ref']}")
    runs = [check for check in repository.checks if check.head == head]
    if call.query.get("filter", "latest") == "latest":
        runs = list({check.name: check for check in runs}.values())
    runs = [check for check in runs if wanted in (None, check.name)]
    size, number = min(int(call.query.get("per_page", "30")), 100), int(call.query.get("page", "1"))
    single = f"{REPOSITORY}/check-runs/{{check_run_id}}"
    shown = [
        schema.response(single, "get", 200, _check_body(call, repository, check))
        for check in reversed(runs[max(0, len(runs) - number * size) : len(runs) - (number - 1) * size])
    ]
    return Response(200, {"total_count": len(runs), "check_runs": shown}, -(-len(runs) // size))


def pull_body(address: str, repository: Repository, pull: PullRequest) -> dict[str, Any]:
    """Return the response for a pull request, as far as the local forge implements it."""
    home = pull.source
    return {
        "id": pull.number,
        "number": pull.number,
        "title": pull.title,
        "state": pull.state,
        "merged": pull.merged,
        "merged_at": pull.merged_at or (_WHEN if pull.merged else None),
        "merge_commit_sha": pull.merge_commit or None,
        "draft": pull.draft,
        "auto_merge": _auto_merge(pull),
        "labels": [{"id": sum(map(ord, name)), "name": name, "color": "ededed"} for name in pull.labels],
        "node_id": node(repository, pull),
        "body": pull.body,
        "user": person(pull.author),
        "url": f"{address}{path(repository)}/pulls/{pull.number}",
        "html_url": f"{address}/{repository.full_name}/pull/{pull.number}",
        "head": {
            "label": f"{home.owner}:{pull.branch}",
            "ref": pull.branch,
            "sha": pull.head or pull.last,
            "repo": {"full_name": home.full_name, "name": home.name, "owner": person(home.owner)},
            "user": person(home.owner),
        },
        "base": {
            "label": f"{repository.owner}:{pull.base}",
            "ref": pull.base,
            "sha": repository.tip(pull.base),
            "repo": {"full_name": repository.full_name, "name": repository.name, "owner": person(repository.owner)},
            "user": person(repository.owner),
        },
    }


def _auto_merge(pull: PullRequest) -> dict[str, Any] | None:
    if pull.auto_merge is None:
        return None
    fields = {"enabled_by": person(pull.auto_merge.by), "merge_method": pull.auto_merge.method}
    return {**fields, "commit_title": pull.title, "commit_message": ""}


def _pulls(call: Call, repository: Repository) -> Response:
    state, head, base = call.query.get("state", "open"), call.query.get("head"), call.query.get("base")
    pulls = [
        pull
        for pull in repository.pulls.values()
        if state in (pull.state, "all")
        and head in (None, f"{pull.source.owner}:{pull.branch}")
        and base in (None, pull.base)
    ]
    return page(call, [pull_body(call.address, repository, pull) for pull in reversed(pulls)])


def _pulls_of_commit(call: Call, repository: Repository) -> Response:
    commit = repository.commit(call.variables["commit_sha"])
    if not commit:
        raise Refused(422, f"No commit found for SHA: {call.variables['commit_sha']}")
    pulls = [pull for pull in repository.pulls.values() if repository.brought(pull, commit)]
    return page(call, [pull_body(call.address, repository, pull) for pull in pulls])


def _new_pull(call: Call, repository: Repository) -> Response:
    may(call, "pull-requests")
    branch = str(call.body["head"]).rpartition(":")[2]
    if not repository.commit(branch):
        raise Refused(422, "Validation Failed: head is invalid")
    there = (repository, branch, str(call.body["base"]), "open")
    if any((other.source, other.branch, other.base, other.state) == there for other in repository.pulls.values()):
        raise Refused(422, f"Validation Failed: A pull request already exists for {repository.owner}:{branch}.")
    if call.token.login == BOT and not repository.opens:
        raise Refused(403, "GitHub Actions is not permitted to create or approve pull requests.")
    draft = bool(call.body.get("draft"))
    if draft and not repository.drafts:
        raise Refused(422, "Validation Failed: Draft pull requests are not supported in this repository.")
    title, base = str(call.body.get("title", branch)), str(call.body["base"])
    if repository.commit(branch) == repository.commit(base):
        raise Refused(422, f"Validation Failed: No commits between {base} and {branch}")
    body = _long(str(call.body.get("body") or ""))
    pull = repository.open_pull(title, branch, base=base, author=call.token.login)
    pull.body, pull.draft = body, draft
    return Response(201, schema.response(call.template, "post", 201, pull_body(call.address, repository, pull)))


def _long(body: str) -> str:
    if len(body) > LONGEST:
        raise Refused(422, f"Validation Failed: body is too long (maximum is {LONGEST} characters)")
    return body


def _one_pull(call: Call, repository: Repository) -> Response:
    body = pull_body(call.address, repository, _pull(call, repository))
    return Response(200, schema.response(call.template, "get", 200, body))


def _edit_pull(call: Call, repository: Repository) -> Response:
    may(call, "pull-requests")
    pull = _pull(call, repository)
    state = str(call.body.get("state", pull.state))
    if state == "open" and pull.state == "closed" and (pull.merged or not pull.head):
        raise Refused(422, "Validation Failed: state cannot be changed.")
    pull.title, pull.body = str(call.body.get("title", pull.title)), _long(str(call.body.get("body", pull.body)))
    pull.state, pull.auto_merge = state, pull.auto_merge if state == "open" else None
    return Response(200, schema.response(call.template, "patch", 200, pull_body(call.address, repository, pull)))


def _repository(call: Call, repository: Repository) -> Response:
    values: dict[str, Any] = {"name": repository.name, "full_name": repository.full_name}
    values |= {"owner": person(repository.owner)}
    values |= {"allow_auto_merge": repository.auto_merges, "allow_merge_commit": True}
    writes = bool({"contents", "pull-requests"} & set(call.token.writes))
    values |= {"archived": repository.archived, "permissions": {"admin": False, "pull": True, "push": writes}}
    values |= {"default_branch": "main", "url": f"{call.address}{path(repository)}"}  # clients follow it
    return Response(200, schema.response(call.template, "get", 200, values))


def _rules(call: Call, repository: Repository) -> Response:
    """Return the rules of a branch, which whoever may read the repository may read."""
    branch, rules = call.variables["branch"], list[dict[str, Any]]()
    if branch in repository.owned:
        wanted = {"required_approving_review_count": 1, "require_code_owner_review": True}
        other = ("dismiss_stale_reviews_on_push", "require_last_push_approval", "required_review_thread_resolution")
        rules.append({"type": "pull_request", "parameters": {**dict.fromkeys(other, False), **wanted}})
    if checks := sorted(repository.required.get(branch, ())):
        named = [{"context": check} for check in checks]
        parameters = {"required_status_checks": named, "strict_required_status_checks_policy": False}
        rules.append({"type": "required_status_checks", "parameters": parameters})
    return page(call, rules)


def _merge(call: Call, repository: Repository) -> Response:
    may(call, "contents")
    pull = _pull(call, repository)
    commit = repository.merge(pull) if pull.state == "open" else ""
    if not commit:
        raise Refused(405, "Pull Request is not mergeable")
    body = {"sha": commit, "merged": True, "message": "Pull Request successfully merged"}
    return Response(200, schema.response(call.template, "put", 200, body))


def _unknown_user(call: Call, _: Repository) -> Response:
    raise Refused(404, f"Not Found: {call.template}")


_ROUTES: dict[tuple[str, str], Route] = {
    ("GET", REPOSITORY): _repository,
    ("POST", f"{REPOSITORY}/check-runs"): _new_check,
    ("GET", f"{REPOSITORY}/check-runs/{{check_run_id}}"): _one_check,
    ("PATCH", f"{REPOSITORY}/check-runs/{{check_run_id}}"): _edit_check,
    ("GET", f"{REPOSITORY}/commits/{{ref}}/check-runs"): _checks,
    ("GET", f"{REPOSITORY}/commits/{{commit_sha}}/pulls"): _pulls_of_commit,
    ("GET", f"{REPOSITORY}/rules/branches/{{branch}}"): _rules,
    ("GET", f"{REPOSITORY}/pulls"): _pulls,
    ("POST", f"{REPOSITORY}/pulls"): _new_pull,
    ("GET", f"{REPOSITORY}/pulls/{{pull_number}}"): _one_pull,
    ("PATCH", f"{REPOSITORY}/pulls/{{pull_number}}"): _edit_pull,
    ("GET", "/users/{username}"): _unknown_user,
    ("PUT", f"{REPOSITORY}/pulls/{{pull_number}}/merge"): _merge,
    **git_data.ROUTES,
    **deployments.ROUTES,
    **comments.ROUTES,
    **issues.ROUTES,
    **reviews.ROUTES,
    **workflow_runs.ROUTES,
}
