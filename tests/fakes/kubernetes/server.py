"""The HTTP side of the fake API server: addresses of the API, and watches; anybody may ask."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.kubernetes.kinds import KINDS, Kind, discovery
from tests.fakes.kubernetes.state import Objects, RefusedError, Thing

_WATCH = 0.05  # seconds between two looks of a watch


class ClusterServer:
    """Serves ``objects`` on a free port of this machine as long as it is open; ``calls`` are the requests it got."""

    def __init__(self, objects: Objects | None = None) -> None:
        self.objects = objects or Objects()
        self.calls: list[str] = []
        handler = type("Handler", (_Handler,), {"cluster": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> ClusterServer:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; a client that comes later finds nobody."""
        self._server.shutdown()
        self._server.server_close()


def kubeconfig(path: Path, url: str, context: str = "fake") -> Path:
    """Write a kubeconfig with one context; it is not the current one, because nothing may rely on that."""
    content = {
        "apiVersion": "v1", "kind": "Config", "current-context": "",
        "clusters": [{"name": context, "cluster": {"server": url}}],
        "users": [{"name": context, "user": {}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }  # fmt: skip
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


class _Handler(BaseHTTPRequestHandler):
    cluster: ClusterServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        at = urlsplit(self.path)
        document = discovery(at.path)
        if document is not None:
            self._say(200, document)
            return
        self._guarded(self._get)

    def do_PATCH(self) -> None:
        self._guarded(self._patch)

    def do_DELETE(self) -> None:
        self._guarded(self._delete)

    def _guarded(self, work: Any) -> None:
        at, body = urlsplit(self.path), self.rfile.read(int(self.headers.get("content-length") or 0))
        asked = {name: values[-1] for name, values in parse_qs(at.query).items()}
        self.cluster.calls.append(f"{self.command} {at.path}{' dry' if 'dryRun' in asked else ''}")
        try:
            work(*_address(at.path), asked, body)
        except RefusedError as error:
            self._say(error.code, {
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": error.code,
                "reason": error.reason, "message": error.message,
            })  # fmt: skip

    def _get(self, kind: Kind, namespace: str, name: str, asked: dict[str, str], _: bytes) -> None:
        if name:
            resource = self.cluster.objects.get((kind.name, namespace, name))
            if resource is None:
                raise RefusedError(404, "NotFound", f'{kind.plural} "{name}" not found')
            self._say(200, resource)
        elif "watch" in asked:
            self._watch(kind, namespace, asked)
        else:
            self._say(200, self._listed(kind, namespace, asked))

    def _listed(self, kind: Kind, namespace: str, asked: dict[str, str]) -> Thing:
        wanted = dict(part.split("=") for part in asked.get("labelSelector", "").split(",") if part)
        called = asked.get("fieldSelector", "").removeprefix("metadata.name=")
        items = [
            entry
            for entry in self.cluster.objects.all(kind.name, namespace)
            if wanted.items() <= entry["metadata"].get("labels", {}).items()
            and called in ("", entry["metadata"]["name"])
        ]
        return {
            "kind": f"{kind.name}List",
            "apiVersion": kind.api,
            "metadata": {"resourceVersion": "1"},
            "items": items,
        }

    def _watch(self, kind: Kind, namespace: str, asked: dict[str, str]) -> None:
        """Tell of every change until the client has heard enough, or a minute is over."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("connection", "close")
        self.end_headers()
        seen, until = "", time.monotonic() + 60
        with suppress(OSError):
            while time.monotonic() < until:
                for resource in self._listed(kind, namespace, asked)["items"]:
                    event = json.dumps({"type": "MODIFIED", "object": resource})
                    if event != seen:
                        self.wfile.write(event.encode() + b"\n")
                        self.wfile.flush()
                        seen = event
                time.sleep(_WATCH)
        self.close_connection = True

    def _patch(self, kind: Kind, namespace: str, name: str, asked: dict[str, str], body: bytes) -> None:
        if self.headers.get("content-type") != "application/apply-patch+yaml" or not asked.get("fieldManager"):
            raise RefusedError(415, "UnsupportedMediaType", "the fake API server takes server-side apply alone")
        key = (kind.name, namespace, name)
        self._say(200, self.cluster.objects.apply(key, json.loads(body), dry="dryRun" in asked))

    def _delete(self, kind: Kind, namespace: str, name: str, asked: dict[str, str], body: bytes) -> None:  # noqa: ARG002
        if not self.cluster.objects.delete((kind.name, namespace, name)):
            raise RefusedError(404, "NotFound", f'{kind.plural} "{name}" not found')
        self._say(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def _say(self, status: int, content: Thing) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _address(path: str) -> tuple[Kind, str, str]:
    """Return the kind, namespace and name in an address; the name is empty for all of a kind."""
    for kind in KINDS:
        head, _, rest = path.partition("/namespaces/")
        parts = rest.split("/")
        if head == kind.root and len(parts) in (2, 3) and parts[1] == kind.plural:
            return kind, parts[0], parts[2] if len(parts) == 3 else ""
    raise RefusedError(404, "NotFound", "the server could not find the requested resource")
