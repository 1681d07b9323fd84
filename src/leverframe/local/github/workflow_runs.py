"""Workflows of the local forge: looked up, started by hand, and their runs, which are recorded and run nothing."""

from __future__ import annotations

import re

from leverframe.local.github import schema
from leverframe.local.github.calls import REPOSITORY, Call, Refused, Response, Route, may, path, person
from leverframe.local.github.state import Repository, WorkflowRun

_WORKFLOW = f"{REPOSITORY}/actions/workflows/{{workflow_id}}"
_BY_HAND = re.compile(r"^( *)(on: *)?[\[{]?.*\bworkflow_dispatch\b", re.MULTILINE)


def _file(call: Call, repository: Repository) -> str:
    """Return the path of a workflow, which GitHub knows by the file on the default branch."""
    file = f".github/workflows/{call.variables['workflow_id']}"
    if not repository.git("ls-tree", "--name-only", "main", file).strip():
        raise Refused(404, "Not Found")
    return file


def _one(call: Call, repository: Repository) -> Response:
    file = _file(call, repository)
    url = f"{call.address}{path(repository)}/actions/workflows/{call.variables['workflow_id']}"
    values = {"id": sum(map(ord, file)), "name": file, "path": file, "state": "active", "url": url}
    return Response(200, schema.response(call.template, "get", 200, values))


def _dispatch(call: Call, repository: Repository) -> Response:
    may(call, "actions")
    file, branch = _file(call, repository), str(call.body["ref"]).removeprefix("refs/heads/")
    head = repository.tip(branch)
    if not head:
        raise Refused(422, f"No ref found for: {branch}")
    if not all(_BY_HAND.search(_text(repository, revision, file)) for revision in ("main", head)):
        raise Refused(422, "Workflow does not have 'workflow_dispatch' trigger")
    number = next(repository.identifiers)
    repository.runs.append(WorkflowRun(number, call.variables["workflow_id"], branch, head, call.token.login))
    return Response(204, None)


def _text(repository: Repository, revision: str, file: str) -> str:
    there = repository.git("ls-tree", "--name-only", revision, file).strip()
    return repository.git("show", f"{revision}:{file}") if there else ""


def _all_runs(call: Call, repository: Repository) -> Response:
    return _listed(call, repository, repository.runs)


def _runs(call: Call, repository: Repository) -> Response:
    return _listed(call, repository, [run for run in repository.runs if run.workflow == call.variables["workflow_id"]])


def _listed(call: Call, repository: Repository, known: list[WorkflowRun]) -> Response:
    wanted = {"event": call.query.get("event"), "head": call.query.get("head_sha"), "branch": call.query.get("branch")}
    runs = [
        run
        for run in reversed(known)
        if all(value in (None, getattr(run, name)) for name, value in wanted.items())
        and call.query.get("status") in (None, run.conclusion, "completed" if run.conclusion else "queued")
    ]
    listed = schema.api()["paths"][call.template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    items = listed["properties"]["workflow_runs"]["items"]
    bodies = [schema.filled(items, _body(call, repository, run), schema.api()) for run in runs]
    return Response(200, {"total_count": len(bodies), "workflow_runs": bodies})


def _body(call: Call, repository: Repository, run: WorkflowRun) -> dict[str, object]:
    return {
        "id": run.number,
        "name": run.name or run.workflow,
        "event": run.event,
        "head_sha": run.head,
        "head_branch": run.branch,
        "status": "completed" if run.conclusion else "queued",
        "conclusion": run.conclusion or None,
        "actor": person(run.actor),
        "path": f".github/workflows/{run.workflow}",
        "html_url": f"{call.address}/{repository.full_name}/actions/runs/{run.number}",
    }


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", _WORKFLOW): _one,
    ("POST", f"{_WORKFLOW}/dispatches"): _dispatch,
    ("GET", f"{_WORKFLOW}/runs"): _runs,
    ("GET", f"{REPOSITORY}/actions/runs"): _all_runs,
}
