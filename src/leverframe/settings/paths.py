"""How a path is written in settings: below the folder of the settings file."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator


def _a_path(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in text:
        raise ValueError("a path starts from the folder of the settings file and stays below it")
    return str(path)


PathText = Annotated[str, AfterValidator(_a_path)]


def _a_path_around(text: str) -> str:
    parts = PurePosixPath(text).parts
    up = next((place for place, part in enumerate(parts) if part != ".."), 0)
    return str(PurePosixPath(*parts[:up], _a_path("/".join(parts[up:]))))


AroundText = Annotated[str, AfterValidator(_a_path_around)]  # may begin with two dots, and lead elsewhere in a monorepo


def _a_folder(text: str) -> str:
    return text if text == "." else _a_path(text)


FolderText = Annotated[str, AfterValidator(_a_folder)]  # the folder of the settings file itself is one
