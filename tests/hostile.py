"""Texts of a pull request that means ill, and values of any type that hold them in each of their fields."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Kind = TypeVar("Kind")
COMMIT = "5f2dcb8a0e1d2c3b4a5968778695a4b3c2d1e0f9"
CORPUS = (
    # people, teams, issues, commits
    "@octocat", "x @acme/security y", "(@octocat)", "&#64;octocat", "&commat;octocat", "@\u200boctocat",
    "a@b.example",
    "mailto:a@b.example", "xmpp:a@b.example/x", "#1", "fixes #1", "GH-1", "gh-1", "acme/ml#1", "acme@" + COMMIT,
    f"acme/ml@{COMMIT}", COMMIT, COMMIT[:7], COMMIT.upper(), f"see {COMMIT[:12]}.", "&#35;1", "@dependabot merge",
    "/lgtm", "`x` @octocat @acme/security fixes #1 GH-1 `y`", "``x`` @octocat ``` #1", "`@octocat``#1```GH-1",
    # addresses, links, pictures
    "https://evil.example/x", "HTTP://evil.example", "ftp://evil.example", "www.evil.example", "WWW.evil.example",
    "<https://evil.example>", "[x](https://evil.example)", "[x](javascript:alert(1))",
    "![x](https://evil.example/p.png)",
    "[x]: https://evil.example", "[x][1]", "](https://evil.example)", "x](https://evil.example) [y", "[^1]: note",
    "[^1]",
    "https&#58;//evil.example",
    # markup
    "<img src=x onerror=alert(1)>", "<a href=https://evil.example>x</a>", "</summary></details><h1>x</h1>", "<!--",
    "-->", "<!-- leverframe:report:model {\"run\": 9} -->", "<script>alert(1)</script>", "<details><summary>x",
    "<?php ?>", "<![CDATA[x]]>", "</code>@octocat", "&lt;b&gt;", "**bold** _it_ ~~gone~~", "# h", "> quote", "- item",
    "+ item", "1. item", "1) item", "===", "---", "***", "- - -", "    indented", "\tindented", "[ ] task",
    "[x] task",
    "[!NOTE]", "> [!WARNING]", "| a | b |\n|---|---|", "a|b", "a\\|b", "\\", "\\`@octocat\\`", "```\n@octocat\n```",
    "~~~\n@octocat", "```mermaid\nclick a href", "$x$", "$$x$$", "$`x`$", "```math", ":smile:", ":+1:", ":smile",
    "smile:",
    "x:100:y", "`", "``", "```", "`` ` ``", "` @octocat", "@octocat `", "a\n\n# h\n\n@octocat", "a\r\n@octocat",
    "a\r@octocat",
    "a\u2028@octocat", "a\u0085@octocat", "\u202e@octocat\u202c", "@octocat\x00", "@\x1b[31moctocat",
    "\ud800@octocat",
    "feedback :100: 10:05:22 1234567", "x" * 500 + "@octocat", ("y" * 30 + " ") * 40 + COMMIT, "`" * 300,
    # runners and terminals
    "::error::x", "k\r::add-matcher::card/m.json\r::stop-commands::zz", "a\n::set-env name=X::y", "x ##[error]y",
    "##[add-matcher]x", "#\x1b[0m#[stop-commands]x", ":\x1b[0m:stop-commands::x", "\u00a0::error::x",
    "\x1b]8;;https://evil\x07",
    "\x1b[2J\x1b[1;1H", "\x9b2J", "a\bb", "\u2066x\u2069", "\u200b\u200d\ufeff\u2060\u00ad", "\U000e0041\u3164",
    "name<<EOF\nx\nEOF",
    "${{ github.token }}", "$(id)", "`id`", "; id", "%0A::error::x", "%%{init: {}}%%",
    'x"]; click a "https://evil"', "end",
)  # fmt: skip


def filled(kind: type[Kind], text: str, turn: int = 0) -> Kind:
    """Return a value of a type with ``text`` wherever a text may stand; ``turn`` chooses among what else is possible.

    A field that is added later is filled, too.
    """
    return cast("Kind", _filled(kind, text, turn))


def _filled(kind: Any, text: str, turn: int) -> Any:  # noqa: PLR0911 - one line a type
    origin, inner = get_origin(kind), get_args(kind)
    if kind in (str, Any, object):
        return text
    if origin is Literal:
        return inner[turn % len(inner)]
    if origin in (Union, types.UnionType):
        known = [part for part in inner if part is not type(None)] if turn % 3 != 2 else list(inner)
        return _filled(known[turn % len(known)], text, turn)
    if origin is tuple:
        parts = inner[:1] * 2 if inner[-1] is Ellipsis else inner
        return tuple(_filled(part, text, turn + number) for number, part in enumerate(parts))
    if origin in (list, Sequence):
        return [_filled(inner[0], text, turn)]
    if origin in (dict, Mapping):
        return {_filled(inner[0], text, turn): _filled(inner[1], text, turn)}
    return _simple(kind, text, turn)


def _simple(kind: Any, text: str, turn: int) -> Any:
    if kind is type(None):
        return None
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        values = {part.name: _filled(hints[part.name], text, turn) for part in fields(kind) if part.init}
        return kind(**values)
    if issubclass(kind, Enum):
        return list(kind)[turn % len(kind)]
    if kind is datetime:
        return datetime(2013, 1, 1 + turn)  # noqa: DTZ001
    known = {bool: turn % 2 == 0, int: 3, float: 0.25, date: date(2013, 1, 1)}
    return known[kind]
