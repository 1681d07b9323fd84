"""What a `.dvc` file of a change says of data: only the digest of known data is followed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from leverframe.domain.review.judge.plain_settings import odd_form
from leverframe.errors import LeverframeError
from leverframe.yaml_files import parse

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_TOLD = {"outs", "meta", "desc"}  # all else of a pointer says where data come from, or how a command makes them
_OF_OUTPUT = {"md5", "size", "nfiles", "hash", "path", "desc", "type", "labels", "meta"}
# What no reader runs: a pickle, an array of objects or a module that data bring would be code of the change.
_DATA = frozenset((".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather", ".orc",
                   ".avro", ".xml", ".gz", ".bz2", ".zst", ".png", ".jpg", ".jpeg", ".wav", ".flac"))  # fmt: skip
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".csv.gz")  # which git may keep as well


@dataclass(frozen=True)
class Pointer:
    """The data of a `.dvc` file: their path beside it, and their digest, with `.dir` for a folder."""

    path: str
    md5: str


def pointer(file: str, content: bytes) -> Pointer | str:
    """Return the data that a pointer names, or in words why it is not followed; ``file`` is its path."""
    odd = odd_form(content)
    if odd:
        return odd
    try:
        document = parse(content.decode(), name=file, what="a pointer of DVC")
    except LeverframeError as error:
        return error.what
    outputs = document.get("outs")
    more = sorted(str(key) for key in document.keys() - _TOLD)
    if more:
        return f"`{more[0]}` says where its data come from"
    if not isinstance(outputs, list) or len(outputs) != 1 or not isinstance(outputs[0], dict):
        return "it names not one output"
    return _of_output(PurePosixPath(file), outputs[0])


def _of_output(file: PurePosixPath, output: Mapping[str, Any]) -> Pointer | str:
    more = sorted(str(key) for key in output.keys() - _OF_OUTPUT)
    md5, path = output.get("md5"), output.get("path")
    if more:
        return f"`{more[0]}` says how its data are kept"
    if not isinstance(md5, str) or not _MD5.fullmatch(md5) or output.get("hash", "md5") != "md5":
        return "it has no digest as DVC 3 writes it"
    if path != file.name.removesuffix(".dvc"):
        return "its data are not those beside it"
    if not md5.endswith(".dir") and not is_data(path):
        return f"`{path}` may hold code"
    return Pointer((file.parent / path).as_posix(), md5)


def is_data(path: str) -> bool:
    """Tell whether a file has the suffix of data that no reader runs."""
    return PurePosixPath(path).suffix.lower() in _DATA


def is_table(path: str) -> bool:
    """Tell whether a file that git keeps holds rows, and nothing that anybody runs or configures."""
    return path.endswith(_TABLES)


def listed(content: bytes) -> dict[str, str] | str:
    """Return the digests of the files of a folder by their paths, or in words why its listing is not followed."""
    try:
        entries = json.loads(content)
        files = {str(entry["relpath"]): str(entry["md5"]) for entry in entries}
    except (ValueError, KeyError, TypeError, RecursionError):
        return "its listing is none of DVC"
    for path, md5 in files.items():
        parts = PurePosixPath(path).parts
        if not (_MD5.fullmatch(md5) and path.isprintable()) or md5.endswith(".dir"):
            return f"its listing names `{path[:60]}`"
        if path.startswith("/") or {"..", "."} & {*parts}:
            return f"its listing names `{path[:60]}`"
        if not is_data(path):
            return f"`{path[:60]}` may hold code"
    return files
