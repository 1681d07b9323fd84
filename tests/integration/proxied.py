"""The documented nginx.conf in a real nginx before real servers of a shop, and clients of it."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
import trustme

from leverframe.local.traffic import Traffic
from tests.integration.served import MODEL, deploy
from tests.integration.shop import Shop, wait_for

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
CONFIGURATION = Path(__file__).parents[2] / "docs/guides/proxy/nginx.conf"
INFER = f"/v2/models/{MODEL}/infer"


class Proxy:
    """A real nginx with the documented configuration: ports, servers and model are set, all else is as it stands."""

    def __init__(self, folder: Path, servers: list[dict[str, Any]], changes: dict[str, str] | None = None) -> None:
        self.folder, self.token = folder, secrets.token_hex(32)
        folder.mkdir(mode=0o700)
        self._authority = trustme.CA()
        own = self._authority.issue_cert("127.0.0.1")
        own.cert_chain_pems[0].write_to_path(folder / "tls.crt")
        own.private_key_pem.write_to_path(folder / "tls.key")
        self._authority.cert_pem.write_to_path(folder / "clients.crt")
        self.tokens({"alice": self.token})
        self.port, self.grpc_port = free_ports()
        text = CONFIGURATION.read_text(encoding="utf-8")
        for old, new in {
            "listen 8443": f"listen 127.0.0.1:{self.port}",
            "listen 8444": f"listen 127.0.0.1:{self.grpc_port}",
            "server 127.0.0.1:8080 max_fails=1 fail_timeout=2s;": several("port", servers),
            "server 127.0.0.1:8080 backup max_fails=0;": several("port", servers, "backup max_fails=0"),
            "server 127.0.0.1:8081 max_fails=1 fail_timeout=2s;": several("grpc_port", servers),
            "server 127.0.0.1:8081 backup max_fails=0;": several("grpc_port", servers, "backup max_fails=0"),
            "rate=200r/s": "rate=2000r/s",
            **(changes or {}),
        }.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        assert text.count("/models/flights-late30(") == 2
        (folder / "nginx.conf").write_text(text.replace("flights-late30", MODEL), encoding="utf-8")
        self.checked = self.nginx("-t")
        assert self.checked.returncode == 0, self.checked.stderr
        self._process = subprocess.Popen(self._command("-g", "daemon off;"), stderr=subprocess.DEVNULL)
        wait_for(self._listens)

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self.folder / "error.log").read_text()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False

    def _command(self, *arguments: str) -> list[str]:
        return [NGINX or "nginx", "-p", str(self.folder), "-e", "error.log", "-c", "nginx.conf", *arguments]

    def nginx(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run nginx's own command with this configuration."""
        return subprocess.run(self._command(*arguments), capture_output=True, text=True, check=False, timeout=30)

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the log of requests."""
        return [json.loads(line) for line in (self.folder / "access.log").read_text().rpartition("\n")[0].splitlines()]

    def tokens(self, known: dict[str, str]) -> None:
        """Write the file of tokens as the guide says."""
        (self.folder / "tokens.map").touch(0o600)
        lines = [f'"Bearer {token}" {name};\n' for name, token in known.items()]
        (self.folder / "tokens.map").write_text("".join(lines))

    def connect(self, certificate: bool = False) -> http.client.HTTPSConnection:
        """Return a connection that believes nobody but this proxy."""
        context = ssl.create_default_context(cadata=self._authority.cert_pem.bytes().decode())
        if certificate:
            self._authority.issue_cert("bob@example.org", common_name="bob").configure_cert(context)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)

    def ask(
        self, body: bytes | Iterator[bytes] = b"", path: str = INFER, *, method: str = "POST", token: str | None = None,
        certificate: bool = False, headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:  # fmt: skip
        """Ask over TLS and return status, content and headers."""
        bearer = self.token if token is None else token
        sent = {**({"authorization": f"Bearer {bearer}"} if bearer else {}), **(headers or {})}
        connection = self.connect(certificate)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
                connection.request(method, path, body, sent)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data else {}, answer.headers
        finally:
            connection.close()

    def triton(self) -> triton.InferenceServerClient:
        """Return a client of a third party."""
        address, authority = f"127.0.0.1:{self.grpc_port}", str(self.folder / "clients.crt")
        return triton.InferenceServerClient(address, ssl=True, root_certificates=authority)

    def stop(self) -> None:
        """End nginx; it answers what it has."""
        self._process.send_signal(signal.SIGQUIT)  # as `nginx -s quit`
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


def free_ports() -> tuple[int, int]:
    """Return two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def several(kind: str, servers: list[dict[str, Any]], how: str = "max_fails=1 fail_timeout=2s") -> str:
    """Return a line of one server, or those of many."""
    return " ".join(f"server 127.0.0.1:{server[kind]} {how};" for server in servers)


class ServerPair:
    """A shop with two servers of its model, and what they tell of themselves."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        deploy(shop, "one")
        free = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")
        assert shop.run("serve", "--name", "other", *free).code == 0
        self.example = json.dumps(self.status("local")["example"]).encode()

    def status(self, name: str) -> dict[str, Any]:
        """Return what a server says of itself."""
        content: dict[str, Any] = json.loads(self.shop.run("serve", "--status", "--json", "--name", name).stdout)
        return content

    def running(self, *names: str) -> list[dict[str, Any]]:
        """Return where servers listen."""
        return [self.status(name)["running"] for name in names]

    def inputs(self) -> list[triton.InferInput]:
        """Return the example for gRPC."""
        tensors = []
        for field in json.loads(self.example)["inputs"]:
            tensor = triton.InferInput(field["name"], field["shape"], field["datatype"])
            tensor.set_data_from_numpy(np.array(field["data"], object if field["datatype"] == "BYTES" else np.float64))
            tensors.append(tensor)
        return tensors


def load_on(pair: ServerPair, proxy: Proxy, clients: int) -> Traffic:
    """Return clients that keep their connections to the proxy."""
    token = f"Bearer {proxy.token}"
    path = f"/v2/models/{MODEL}/infer"
    return Traffic(proxy.port, path, pair.example, clients=clients, connect=proxy.connect, authorization=token)
