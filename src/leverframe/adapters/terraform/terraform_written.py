"""What the files of a root module tell of secrets where no plan does: Terraform repeats values in what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

_TEXT = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_VARIABLE = re.compile(r'^variable\s+"[^"\n]*"\s*\{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"\bsensitive\s*=\s*true\b")
_CALL = re.compile(r'\bsensitive\(\s*"((?:[^"\\\n]|\\.)*)"')
# The words of a function hold the value that it does not like, or a part of it.
_REPEATS = re.compile(r'(Call to function "[^"]*" failed|Invalid value for "[^"]*" parameter)\b.*', re.DOTALL)
_VALUES = ("terraform.tfvars", "terraform.tfvars.json", "*.auto.tfvars", "*.auto.tfvars.json")
_MODULE = ("*.tf", "*.tofu")


def written_values(folder: Path) -> set[str]:
    """Return the texts in files of variables, defaults of sensitive variables, and arguments of `sensitive`."""
    return {_meant(text) for text in _texts(folder)}


def without_repeated(folder: Path, fault: str) -> str:
    """Return an error without what a function says of its arguments, where a module has anything that is sensitive."""
    if not any("sensitive" in text for text in _contents(folder, _MODULE)):
        return fault
    return _REPEATS.sub(r"\1; its words are not shown, as they may repeat a sensitive value", fault)


def _texts(folder: Path) -> Iterator[str]:
    for content in _contents(folder, _VALUES):
        yield from _TEXT.findall(content)
    for content in _contents(folder, _MODULE):
        yield from _CALL.findall(content)
        for block in _VARIABLE.findall(content):
            yield from _TEXT.findall(block) if _MARK.search(block) else ()


def _contents(folder: Path, patterns: tuple[str, ...]) -> Iterator[str]:
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if path.is_file():
                yield path.read_text(encoding="utf-8", errors="replace")


def _meant(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:  # an escape of Terraform alone
        return text
