"""Serve schemas to Terraform as providers: ``python -m tests.terraform.stubs.plugin``.

Speaks as much of Terraform's plugin protocol 5 as ``validate`` and ``test`` with mocks need: schemas, and validations
that find nothing. One process serves every provider of `schemas/`, each on a Unix socket, until its stdin closes; the
first line of its stdout is what ``TF_REATTACH_PROVIDERS`` must be, so that no command starts a provider of its own.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

SCHEMAS = Path(__file__).with_name("schemas")
NAMESPACES = {"aws": "hashicorp", "github": "integrations", "kubernetes": "hashicorp"}
NESTING = {"single": 1, "list": 2, "set": 3, "map": 4, "group": 5}
PROTOCOL = 5
RESPONSES = {
    "/grpc.health.v1.Health/Check": b"\x08\x01",  # it serves
    "/plugin.GRPCController/Shutdown": b"",
    "/tfplugin5.Provider/ValidateResourceTypeConfig": b"",
    "/tfplugin5.Provider/ValidateDataSourceConfig": b"",
    "/tfplugin5.Provider/Configure": b"",
    "/tfplugin5.Provider/Stop": b"",
}
ECHOED = "/tfplugin5.Provider/PrepareProviderConfig"  # the configuration is field 1 of the request and of the response


def varint(number: int) -> bytes:
    """A number as protocol buffers write it."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(encoded) + bytes([number])


def field(number: int, value: bytes | str | int) -> bytes:
    """One field of a message: a number, a boolean, text or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    encoded = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(encoded)) + encoded


def attribute_message(name: str, attribute: dict[str, Any]) -> bytes:
    """`Schema.Attribute`: name, type as JSON, and who sets it."""
    return (
        field(1, name)
        + field(2, json.dumps(attribute["type"]))
        + field(4, attribute.get("required", False))
        + field(5, attribute.get("optional", False))
        + field(6, attribute.get("computed", False))
        + field(7, attribute.get("sensitive", False))
    )


def block_message(block: dict[str, Any]) -> bytes:
    """`Schema.Block`: its attributes and the blocks in it."""
    message = b"".join(field(2, attribute_message(*item)) for item in sorted(block["attributes"].items()))
    for name, nested in sorted(block.get("block_types", {}).items()):
        message += field(
            3,
            field(1, name)
            + field(2, block_message(nested["block"]))
            + field(3, NESTING[nested["nesting_mode"]])
            + field(4, nested.get("min_items", 0))
            + field(5, nested.get("max_items", 0)),
        )
    return message


def schema_message(schema: dict[str, Any]) -> bytes:
    """`Schema`: a version and a block."""
    return field(1, schema["version"]) + field(2, block_message(schema["block"]))


def schemas_message(provider: dict[str, Any]) -> bytes:
    """The response of `GetSchema`: the provider's own schema and those of its types."""
    message = field(1, schema_message(provider["provider"]))
    for number, kind in ((2, "resource_schemas"), (3, "data_source_schemas")):
        for name, schema in provider[kind].items():
            message += field(number, field(1, name) + field(2, schema_message(schema)))
    return message


class Provider(grpc.GenericRpcHandler):  # type: ignore[misc]
    """One provider: its schemas, and no objection to any value."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._responses = RESPONSES | {"/tfplugin5.Provider/GetSchema": schemas_message(schema)}

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a call; none where the protocol has more than tests need."""
        method = handler_call_details.method
        if method == ECHOED:
            return grpc.unary_unary_rpc_method_handler(lambda request, _: request)
        if method not in self._responses:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda _, __: self._responses[method])


def serve(path: Path, socket: Path) -> grpc.Server:
    """Serve one file of schemas on a Unix socket, for as long as the server that is returned is kept."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((Provider(json.loads(path.read_text(encoding="utf-8"))),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    return server


def reattach(socket: Path) -> dict[str, Any]:
    """What Terraform must know to reach a provider that it did not start."""
    address = {"Network": "unix", "String": str(socket)}
    return {"Protocol": "grpc", "ProtocolVersion": PROTOCOL, "Pid": os.getpid(), "Test": True, "Addr": address}


def main() -> None:
    """Serve every provider until stdin closes."""
    with tempfile.TemporaryDirectory(prefix="stub-") as folder:
        servers = {path.stem: serve(path, Path(folder) / path.stem) for path in SCHEMAS.glob("*.json")}
        names = {name: f"{NAMESPACES[name]}/{name}" for name in sorted(servers)}
        print(json.dumps({names[name]: reattach(Path(folder) / name) for name in names}), flush=True)
        sys.stdin.read()
        for server in servers.values():
            server.stop(grace=None)


if __name__ == "__main__":
    main()
