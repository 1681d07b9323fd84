"""Deployments and their statuses."""

from __future__ import annotations

from typing import Any

from leverframe.local.github import schema
from leverframe.local.github.calls import REPOSITORY, Call, Refused, Response, Route, may, page, path
from leverframe.local.github.state import Deployment, Repository


def _deployment_body(call: Call, repository: Repository, deployment: Deployment) -> dict[str, Any]:
    here = f"{call.address}{path(repository)}/deployments/{deployment.number}"
    return {
        "id": deployment.number,
        "sha": deployment.commit,
        "ref": deployment.commit,
        "task": deployment.task,
        "environment": deployment.environment,
        "description": deployment.description,
        "payload": deployment.payload,
        "url": here,
        "statuses_url": f"{here}/statuses",
    }


def _deployments(call: Call, repository: Repository) -> Response:
    asked = {"commit": call.query.get("sha"), "environment": call.query.get("environment"),
             "task": call.query.get("task")}  # fmt: skip
    deployments = [
        deployment
        for deployment in reversed(repository.deployments)
        if all(wanted in (None, getattr(deployment, name)) for name, wanted in asked.items())
    ]
    return page(call, [_deployment_body(call, repository, deployment) for deployment in deployments])


def _new_deployment(call: Call, repository: Repository) -> Response:
    may(call, "deployments")
    commit = repository.commit(call.body["ref"])
    if not commit:
        raise Refused(422, f"No ref found for: {call.body['ref']}")
    deployment = Deployment(
        next(repository.identifiers), commit, call.body.get("environment", "production"),
        call.body.get("task", "deploy"), call.body.get("description") or "", call.body.get("payload", {}),
    )  # fmt: skip
    repository.deployments.append(deployment)
    return Response(201, schema.response(call.template, "post", 201, _deployment_body(call, repository, deployment)))


def _known_deployment(call: Call, repository: Repository) -> Deployment:
    wanted = call.variables["deployment_id"]
    deployment = next((deployment for deployment in repository.deployments if str(deployment.number) == wanted), None)
    if deployment is None:
        raise Refused(404, "Not Found")
    return deployment


def _one_deployment(call: Call, repository: Repository) -> Response:
    body = _deployment_body(call, repository, _known_deployment(call, repository))
    return Response(200, schema.response(call.template, "get", 200, body))


def _states(call: Call, repository: Repository) -> Response:
    states = _known_deployment(call, repository).states
    return page(call, [{"id": n, "state": state, "description": words}
                        for n, (state, words) in reversed(list(enumerate(states, 1)))])  # fmt: skip


def _new_state(call: Call, repository: Repository) -> Response:
    may(call, "deployments")
    deployment = _known_deployment(call, repository)
    state, words = call.body["state"], str(call.body.get("description", ""))
    if len(words) > 140:
        raise Refused(422, "Validation Failed: description is too long (maximum is 140 characters)")
    deployment.states.append((state, words))
    values = {"id": len(deployment.states), "state": state, "description": words}
    return Response(201, schema.response(call.template, "post", 201, values))


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", f"{REPOSITORY}/deployments"): _deployments,
    ("POST", f"{REPOSITORY}/deployments"): _new_deployment,
    ("GET", f"{REPOSITORY}/deployments/{{deployment_id}}"): _one_deployment,
    ("GET", f"{REPOSITORY}/deployments/{{deployment_id}}/statuses"): _states,
    ("POST", f"{REPOSITORY}/deployments/{{deployment_id}}/statuses"): _new_state,
}
