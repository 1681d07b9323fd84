"""Text of others in logs and terminals, and in the commands and files of a runner of GitHub.

A runner takes a line for a command that begins with ``::``, after blanks, or has ``##[`` anywhere
(https://github.com/actions/runner, src/Runner.Common/ActionCommand.cs), and ends a line at a lone carriage return. A
terminal obeys control characters, and shows a line in another order where a character says so.
"""

from __future__ import annotations

import json
import re
import secrets

from leverframe.inert.letters import JOINER, UNSEEN, harmless

_COMMAND = re.compile(r"(?:(?<![^\n])\s*(?=::))|(?<=##)(?=\[)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ODD = re.compile(r"[^\n\t\x20-\x7e]")


def log(text: str, *, runner: bool) -> str:
    """Return text for a log, which a ``runner`` may read, or a terminal: lines and tabs stay, nothing is obeyed.

    What is not seen becomes a replacement character, so that no line is forged, hidden or turned around.
    """
    plain = _ODD.sub(_seen, _COLOUR.sub("", text.replace("\r\n", "\n")))
    return _COMMAND.sub(lambda command: f"{command[0]}{JOINER}", plain) if runner else plain


def _seen(odd: re.Match[str]) -> str:
    return odd[0] if harmless(odd[0]) else UNSEEN


def log_json(text: str) -> str:
    """Return the text of a JSON document with the same content in which nothing is obeyed."""
    plain = _ODD.sub(lambda odd: odd[0] if harmless(odd[0]) else json.dumps(odd[0])[1:-1], text)
    return plain.replace("##[", r"##\u005b")


def command(name: str, message: str, **properties: str) -> str:
    """Return a command to a runner, one line; neither message nor properties end it or begin another."""
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name}{' ' * bool(listed)}{listed}::{_data(log(message, runner=False))}"


def mask(secret: str) -> str:
    """Return the command that hides a secret, which is handed over as it is."""
    return f"::add-mask::{_data(secret)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(log(text, runner=False)).replace(":", "%3A").replace(",", "%2C")


def entry(name: str, value: str) -> str:
    """Return an entry of a file of a runner, of outputs or of the environment, whose value cannot guess its end."""
    fence = f"leverframe-{secrets.token_hex(16)}"
    return f"{name}<<{fence}\n{storable(value)}\n{fence}\n"


def storable(text: str) -> str:
    """Return text as UTF-8 can hold it, without NUL: names of files may be of other bytes."""
    return text.encode(errors="replace").decode().replace("\0", UNSEEN)
