"""GitHub's own schemas of requests and responses, and values that are valid against them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError, best_match

Schema = Mapping[str, Any]
_NEVER_TOLD = (404, 422)  # GitHub responds so where its description does not: to a workflow that cannot be started
_WHEN = "2013-01-01T00:00:00Z"
API = Path(__file__).with_name("openapi-slice.json")
WEBHOOKS = Path(__file__).with_name("webhooks-slice.json")


@cache
def api() -> dict[str, Any]:
    """Return the slice of the OpenAPI description, its `nullable` written as JSON Schema writes it."""
    document: dict[str, Any] = _nullable(json.loads(API.read_bytes()))
    return document


@cache
def webhooks() -> dict[str, Any]:
    """Return the slice of the schema of webhooks."""
    document: dict[str, Any] = json.loads(WEBHOOKS.read_bytes())
    return document


def _nullable(content: Any) -> Any:
    if isinstance(content, list):
        return [_nullable(part) for part in content]
    if not isinstance(content, dict):
        return content
    node = {key: _nullable(value) for key, value in content.items() if key != "nullable"}
    if content.get("nullable") is True:
        if "type" in node:
            node["type"] = [node["type"], "null"]
            if "enum" in node:
                node["enum"] = [*node["enum"], None]
        else:
            node = {"anyOf": [node, {"type": "null"}]}
    return node


def route(method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """Return the template in the description that a path follows, with its variables; None where it has none."""
    for template, operations in api()["paths"].items():
        if method.lower() in operations:
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
            pattern = re.sub(r"(/refs?/)\(\?P<ref>\[\^/\]\+\)$", r"\1(?P<ref>.+)", pattern)  # a branch has slashes
            pattern = pattern.replace("/contents/(?P<path>[^/]+)", "/contents/(?P<path>.+)")  # as a file has
            match = re.fullmatch(pattern, path)
            if match:
                return template, match.groupdict()
    return None


def request_fault(method: str, template: str, body: Any) -> str:
    """Return the violation of a request body; empty if it is valid."""
    content = api()["paths"][template][method.lower()].get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return ""
    unknown = set(body or {}) - set(_properties(schema)) if isinstance(body, dict) and _properties(schema) else set()
    if unknown:
        return f"{method} {template}: unknown fields {sorted(unknown)}"
    return _fault(schema, body, api(), f"{method} {template}")


def response_fault(method: str, template: str, status: int, body: Any) -> str:
    """Return the violation of our response; empty if it is valid."""
    responses = api()["paths"][template][method.lower()]["responses"]
    description = responses.get(str(status))
    if description is None and status in _NEVER_TOLD:
        return ""
    if description is None:
        return f"{method} {template} never responds with {status}"
    description = _resolved(description, api())
    schema = description.get("content", {}).get("application/json", {}).get("schema")
    return _fault(schema, body, api(), f"{method} {template} {status}") if schema else ""


def webhook_fault(event: str, payload: Any) -> str:
    """Return the violation of the payload of an event such as `pull_request$opened`."""
    return _fault({"$ref": f"#/definitions/{event}"}, payload, webhooks(), event)


def _properties(schema: Schema) -> dict[str, Any]:
    resolved = _resolved(schema, api())
    properties: dict[str, Any] = dict(resolved.get("properties", {}))
    for subschema in (*resolved.get("oneOf", ()), *resolved.get("anyOf", ()), *resolved.get("allOf", ())):
        properties |= _properties(subschema)
    return properties


def _fault(schema: Schema, body: Any, document: Schema, where: str) -> str:
    roots = {key: document[key] for key in ("components", "definitions") if key in document}
    error: ValidationError | None = best_match(Draft7Validator({"allOf": [schema], **roots}).iter_errors(body))
    if error is None:
        return ""
    place = ".".join(str(part) for part in error.absolute_path) or "the body"
    return f"{where}: {place}: {error.message[:300]}"


def filled(schema: Schema, values: Mapping[str, Any], document: Schema) -> dict[str, Any]:
    """Return an object that is valid against ``schema``: ``values``, and minimal values for other required fields."""
    content: dict[str, Any] = _least(schema, document, dict(values))
    return content


def response(template: str, method: str, status: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response of the described form that holds ``values``."""
    description = _resolved(api()["paths"][template][method]["responses"][str(status)], api())
    schema = description["content"]["application/json"]["schema"]
    resolved = _resolved(schema, api())
    return filled(resolved.get("items", resolved), values, api())


def webhook(event: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of an event that holds ``values``."""
    return filled({"$ref": f"#/definitions/{event}"}, values, webhooks())


def _resolved(schema: Schema, document: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].lstrip("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def _least(schema: Schema, document: Schema, given: Any = None) -> Any:
    """Return ``given`` with minimal values for the other fields that ``schema`` requires."""
    schema = _resolved(schema, document)
    if isinstance(given, list):
        items = schema.get("items", {})
        return [_least(items, document, value) if isinstance(value, dict) else value for value in given]
    if given is not None and not isinstance(given, dict):
        return given
    return _made(schema, document, given)


def _made(schema: Schema, document: Schema, given: Any) -> Any:
    """Return an object, or where nothing is given any value, that fits a schema which was looked up already."""
    if given is None and ("const" in schema or "enum" in schema):
        choices = [schema["const"]] if "const" in schema else schema["enum"]
        return None if None in choices else choices[0]
    if "allOf" in schema:
        for part in schema["allOf"]:
            given = _least(part, document, given)
        return given
    options = [_resolved(option, document) for option in (*schema.get("oneOf", ()), *schema.get("anyOf", ()))]
    kind = schema.get("type", "object" if "properties" in schema else None)
    kinds = kind if isinstance(kind, list) else [kind]
    if given is None and ("null" in kinds or any(option.get("type") == "null" for option in options)):
        return None
    if "properties" in schema:
        given = _of_kind("object", schema, document, given)
    rest = [option for option in options if option.get("type") != "null"]
    if rest:
        fitting = [option for option in rest if isinstance(given, dict) and "properties" in option]
        return _least((fitting or rest)[0], document, given)
    return given if "properties" in schema else _of_kind(kinds[0], schema, document, given)


def _of_kind(kind: str | None, schema: Schema, document: Schema, given: Any) -> Any:
    if kind == "object":
        properties = schema.get("properties", {})
        wanted = dict.fromkeys([*schema.get("required", ()), *(given or {})])
        values = given or {}
        return {
            name: _least(properties[name], document, values.get(name)) if name in properties else values.get(name)
            for name in wanted
        }
    simple: dict[str | None, Any] = {"array": [], "boolean": False, "integer": 0, "number": 0}
    if kind in simple:
        return simple[kind]
    if kind == "string":
        formats = {"date-time": _WHEN, "uri": "https://example.org/", "email": "nobody@example.org"}
        return formats.get(schema.get("format", ""), "x" if schema.get("minLength") else "")
    return given
