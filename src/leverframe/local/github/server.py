"""The server of the local forge on the loopback: REST API, git over HTTP, and web pages."""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from leverframe.local.github import graphql, pages, routes, schema
from leverframe.local.github.calls import Call, Refused, Response
from leverframe.local.github.state import Repository, Token


@dataclass
class Fault:
    """A planted error response, for the next ``times`` requests that match.

    ``stale`` lets the right response through with its newest entry missing, as a lagging replica gives. ``late`` does
    what was asked before the error, as a gateway that gave up too early. The response comes after ``seconds``.
    """

    method: str
    path: str
    status: int = 502
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=lambda: {"message": "Server Error"})
    stale: bool = False
    late: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Request:
    """One request as it came in; ``authorization`` is the scheme alone."""

    method: str
    path: str
    authorization: str
    body: Any


@dataclass
class LocalForge:
    """The state, the log of requests, and ``violations`` of GitHub's own API description."""

    folder: Path
    tokens: dict[str, Token] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    address: str = ""

    def repository(self, full_name: str) -> Repository:
        """Return a repository; a new one is empty."""
        if full_name not in self.repositories:
            owner, _, name = full_name.partition("/")
            self.repositories[full_name] = Repository.create(owner, name, self.folder)
        return self.repositories[full_name]

    def pushed(self, source: Repository) -> None:
        """Update every pull request from a repository with its new commits."""
        for repository in list(self.repositories.values()):
            pulls = [pull for pull in repository.pulls.values() if pull.source is source and not pull.merged]
            for pull in pulls:
                repository.refresh(pull)
            if pulls:
                repository.settle()


@contextmanager
def serving(folder: Path, *, tls: tuple[Path, Path] | None = None) -> Iterator[LocalForge]:
    """Run the local forge on a free port of the loopback until the block ends; ``tls`` is its certificate and key."""
    state = LocalForge(folder)
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    state.address = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """It has nothing to say of clients that leave before their answer."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    state: LocalForge

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the state holds the log."""

    def do_GET(self) -> None:
        """Respond to a GET."""
        self._answer()

    def do_POST(self) -> None:
        """Respond to a POST."""
        self._answer()

    def do_PATCH(self) -> None:
        """Respond to a PATCH."""
        self._answer()

    def do_PUT(self) -> None:
        """Respond to a PUT."""
        self._answer()

    def do_DELETE(self) -> None:
        """Respond to a DELETE."""
        self._answer()

    def _answer(self) -> None:
        address = urlsplit(self.path)
        data = self._data()
        path = unquote(address.path)
        query = dict(parse_qsl(address.query))
        if re.match(r"/[^/]+/[^/]+?(\.git)?/(info/refs|git-(upload|receive)-pack)$", path):
            self._git(path, address.query, data)
        elif self.command == "GET" and (picture := pages.picture(path, self.state.repositories)):
            self._send(200, picture.encode(), {"Content-Type": "image/svg+xml"})
        elif self.command == "GET" and (shown := pages.page(path, self.state.repositories)):
            self._send(200, shown.encode(), {"Content-Type": "text/html; charset=utf-8"})
        else:
            self._rest(path, query, data)

    def _data(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _rest(self, path: str, query: Mapping[str, str], data: bytes) -> None:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        body = json.loads(data) if data else None
        self.state.requests.append(Request(self.command, path, scheme, body))
        path = path.removeprefix("/api/v3") or "/"  # where servers of one's own have the interface
        fault = self._fault(path)
        time.sleep(fault.seconds if fault and not fault.late else 0)
        if fault and not (fault.stale or fault.late):
            self._send_json(fault.status, fault.body, fault.headers)
            return
        if (self.command, path.removeprefix("/api")) == ("POST", "/graphql"):
            self._graphql(given, body, fault)
            return
        route = schema.route(self.command, path)
        if route is None:
            self.state.violations.append(f"{self.command} {path} is not in the slice of the API description")
            self._send_json(404, {"message": "Not Found"})
            return
        template, variables = route
        wrong = schema.request_fault(self.command, template, body)
        if wrong:
            self.state.violations.append(wrong)
            self._send_json(422, {"message": "Validation Failed", "documentation_url": "https://example.org/"})
            return
        token = self.state.tokens.get(given)
        call = Call(self.command, template, variables, query, body, token or Token("nobody", ()), self.state.address)
        try:
            if token is None:
                raise Refused(401, "Bad credentials")
            response = routes.respond(call, self.state.repositories)
        except Refused as refused:
            response = refused.response
        if fault and fault.late:
            time.sleep(fault.seconds)
            self._send_json(fault.status, fault.body, fault.headers)
            return
        if fault and fault.stale and isinstance(response.body, list):
            newest = max((int(entry.get("id", 0)) for entry in response.body), default=0)
            kept = [entry for entry in response.body if entry.get("id", 0) != newest]
            response = Response(response.status, kept, response.pages)
        if response.status not in (401, 403):  # any call may be refused so; the description does not repeat it
            wrong = schema.response_fault(self.command, template, response.status, response.body)
            if wrong:
                self.state.violations.append(f"our response: {wrong}")
        self._send_json(response.status, response.body, _link(self.state.address, path, query, response.pages))

    def _graphql(self, given: str, body: Any, fault: Fault | None) -> None:
        token = self.state.tokens.get(given)
        wrong = graphql.fault(body)
        if token is None or wrong:
            self.state.violations += [wrong] if wrong else []
            self._send_json(400 if wrong else 401, {"message": wrong or "Bad credentials"})
            return
        answer = graphql.respond(body, token, self.state.repositories)
        if fault:
            self._send_json(fault.status, fault.body, fault.headers)
        else:
            self._send_json(200, answer)

    def _fault(self, path: str) -> Fault | None:
        for fault in self.state.faults:
            if fault.times > 0 and fault.method == self.command and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None

    def _git(self, path: str, query: str, data: bytes) -> None:
        owner, name, rest = path.lstrip("/").split("/", 2)
        repository = self.state.repositories.get(f"{owner}/{name.removesuffix('.git')}")
        writes = "receive-pack" in f"{path}?{query}"
        if repository is None:
            self._send(404, b"")
            return
        token = self._git_token()
        if token is None and (writes or repository.private):
            self._send(401, b"", {"WWW-Authenticate": 'Basic realm="git"'})
            return
        if writes and token is not None and "contents" not in token.writes:
            self._send(403, b"Write access to repository not granted.")
            return
        fault = self._fault(path)
        if fault and not fault.late:
            self._send(fault.status, b"")
            return
        environment = {
            "PATH": os.environ.get("PATH", ""), "GIT_PROJECT_ROOT": str(self.state.folder), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{owner}/{name.removesuffix('.git')}.git/{rest}", "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "REMOTE_USER": "token",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "CONTENT_LENGTH": str(len(data)),
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
            "FORGE_WORKFLOWS": "no" if token and "workflows" not in token.writes else "yes",
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], env=environment, input=data, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        if fault:
            status, content, headers = fault.status, b"", {}
        if writes and self.command == "POST":
            self.state.pushed(repository)
        self._send(status, content, headers)

    def _git_token(self) -> Token | None:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        return self.state.tokens.get(base64.b64decode(given).decode().partition(":")[2])

    def _send_json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        content = b"" if status == 204 else json.dumps(body).encode()
        self._send(status, content, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _link(address: str, path: str, query: Mapping[str, str], pages_: int) -> dict[str, str]:
    """Return the header that names the next and the last page of a list."""
    number = int(query.get("page", "1"))
    if number >= pages_:
        return {}

    def to(page: int) -> str:
        rest = "&".join(f"{key}={value}" for key, value in query.items() if key != "page")
        return f"<{address}{path}?{rest}{'&' if rest else ''}page={page}>"

    named: Sequence[tuple[str, int]] = (("next", number + 1), ("last", pages_))
    return {"Link": ", ".join(f'{to(page)}; rel="{name}"' for name, page in named)}
