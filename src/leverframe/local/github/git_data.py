"""References, commits, trees and tags of the API, backed by real git."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from leverframe.local.github import schema
from leverframe.local.github.calls import REPOSITORY, Call, Refused, Response, Route, may, path
from leverframe.local.github.state import Repository


def _one_ref(call: Call, repository: Repository) -> Response:
    name = f"refs/{call.variables['ref']}"
    if not repository.commit(name):
        raise Refused(404, "Not Found")
    kind, sha = repository.git("for-each-ref", "--format=%(objecttype) %(objectname)", name).split()
    return Response(200, schema.response(call.template, "get", 200, _ref_body(call, repository, name, sha, kind)))


def _ref_body(call: Call, repository: Repository, name: str, sha: str, kind: str = "commit") -> dict[str, Any]:
    here = f"{call.address}{path(repository)}/git/{name}"  # clients follow it
    return {"ref": name, "url": here, "object": {"sha": sha, "type": kind}}


def _new_ref(call: Call, repository: Repository) -> Response:
    may(call, "contents")
    if repository.commit(call.body["ref"]):
        raise Refused(422, "Reference already exists")
    repository.git("update-ref", call.body["ref"], call.body["sha"])
    body = _ref_body(call, repository, call.body["ref"], call.body["sha"])
    return Response(201, schema.response(call.template, "post", 201, body))


def _move_ref(call: Call, repository: Repository) -> Response:
    may(call, "contents")
    name, new = f"refs/{call.variables['ref']}", call.body["sha"]
    old = repository.commit(name)
    if not old:
        raise Refused(422, "Reference does not exist")
    if not call.body.get("force") and old not in repository.git("rev-list", new).split():
        raise Refused(422, "Update is not a fast forward")
    repository.git("update-ref", name, new)
    return Response(200, schema.response(call.template, "patch", 200, _ref_body(call, repository, name, new)))


def _commit_body(call: Call, repository: Repository, commit: str) -> dict[str, Any]:
    here = f"{call.address}{path(repository)}/git/commits"  # clients follow it
    tree, parents, message = repository.git("log", "-1", "--format=%T%n%P%n%B", commit).split("\n", 2)
    return {
        "sha": commit,
        "url": f"{here}/{commit}",
        "tree": {"sha": tree},
        "message": message.strip(),
        "parents": [
            {
                "sha": parent,
                "url": f"{here}/{parent}",
                "html_url": f"{call.address}/{repository.full_name}/commit/{parent}",
            }
            for parent in parents.split()
        ],
    }


def _one_commit(call: Call, repository: Repository) -> Response:
    body = _commit_body(call, repository, call.variables["commit_sha"])
    return Response(200, schema.response(call.template, "get", 200, body))


def _new_commit(call: Call, repository: Repository) -> Response:
    may(call, "contents")
    parents = [word for parent in call.body.get("parents", []) for word in ("-p", parent)]
    commit = repository.git("commit-tree", call.body["tree"], *parents, "-m", call.body["message"]).strip()
    return Response(201, schema.response(call.template, "post", 201, _commit_body(call, repository, commit)))


def _new_tree(call: Call, repository: Repository) -> Response:
    may(call, "contents")
    index = repository.path / f"index-{next(repository.identifiers)}"
    listed = repository.git("ls-tree", "-r", call.body["base_tree"]) if call.body.get("base_tree") else ""
    entries = {line.partition("\t")[2]: line for line in listed.splitlines()}
    for entry in call.body["tree"]:
        blob = repository.git("hash-object", "-w", "--stdin", given=entry["content"]).strip()
        entries[entry["path"]] = f"{entry['mode']} blob {blob}\t{entry['path']}"
    tree = repository.tree(index, [line.replace(" blob ", " ") for line in entries.values()])
    return Response(201, schema.response(call.template, "post", 201, {"sha": tree, "truncated": False, "tree": []}))


def _one_tree(call: Call, repository: Repository) -> Response:
    lines = repository.git("ls-tree", "--long", call.variables["tree_sha"]).splitlines()
    entries = []
    for line in lines:
        (mode, kind, name, size), place = line.partition("\t")[0].split(), line.partition("\t")[2]
        url = f"{call.address}{path(repository)}/git/{kind}s/{name}"
        entries.append({"path": place, "mode": mode, "type": kind, "sha": name, "url": url}
                       | ({"size": int(size)} if kind == "blob" else {}))  # fmt: skip
    values = {"sha": call.variables["tree_sha"], "truncated": False, "tree": entries}
    return Response(200, schema.response(call.template, "get", 200, values))


def _one_blob(call: Call, repository: Repository) -> Response:
    name = call.variables["file_sha"]
    content = repository.git("cat-file", "blob", name).encode()
    values = {"sha": name, "size": len(content), "encoding": "base64", "content": base64.b64encode(content).decode()}
    return Response(200, schema.response(call.template, "get", 200, values))


def _one_tag(call: Call, repository: Repository) -> Response:
    text = repository.git("cat-file", "tag", call.variables["tag_sha"])
    head, _, message = text.partition("\n\n")
    fields = dict(line.split(" ", 1) for line in head.splitlines())
    values: dict[str, Any] = {"sha": call.variables["tag_sha"], "tag": fields["tag"], "message": message}
    values |= {"object": {"sha": fields["object"], "type": fields["type"]}}
    return Response(200, schema.response(call.template, "get", 200, values))


def _new_tag(call: Call, repository: Repository) -> Response:
    may(call, "contents")
    body = call.body
    who = _tagger(body.get("tagger"), 1_700_000_000 + next(repository.identifiers))  # no clock, and no time twice
    text = f"object {body['object']}\ntype {body['type']}\ntag {body['tag']}\ntagger {who}\n\n{body['message']}"
    made = repository.git("mktag", given=text if text.endswith("\n") else f"{text}\n").strip()
    values = {"sha": made, "tag": body["tag"], "message": body["message"]}
    values["object"] = {"sha": body["object"], "type": body["type"]}
    return Response(201, schema.response(call.template, "post", 201, values))


def _tagger(given: Any, second: int) -> str:
    """Return who made a tag and when, as it is given, else ourselves at a second since 1970."""
    if given is None:
        return f"github <github@example.org> {second} +0000"
    return f"{given['name']} <{given['email']}> {int(datetime.fromisoformat(given['date']).timestamp())} +0000"


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", f"{REPOSITORY}/git/ref/{{ref}}"): _one_ref,
    ("POST", f"{REPOSITORY}/git/refs"): _new_ref,
    ("PATCH", f"{REPOSITORY}/git/refs/{{ref}}"): _move_ref,
    ("GET", f"{REPOSITORY}/git/commits/{{commit_sha}}"): _one_commit,
    ("POST", f"{REPOSITORY}/git/commits"): _new_commit,
    ("POST", f"{REPOSITORY}/git/trees"): _new_tree,
    ("GET", f"{REPOSITORY}/git/trees/{{tree_sha}}"): _one_tree,
    ("GET", f"{REPOSITORY}/git/blobs/{{file_sha}}"): _one_blob,
    ("POST", f"{REPOSITORY}/git/tags"): _new_tag,
    ("GET", f"{REPOSITORY}/git/tags/{{tag_sha}}"): _one_tag,
}
