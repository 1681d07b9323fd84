"""A case drafted from tables in the repository: read whole, looked at, and written as a person would begin it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from leverframe.adapters.duckdb.query import arrow_table
from leverframe.adapters.polars import PolarsFrames
from leverframe.adapters.polars.table_facts import facts_of
from leverframe.domain.data.readers import Csv, Parquet
from leverframe.domain.pipeline.case_draft.case_choice import DraftOptions, choice
from leverframe.domain.pipeline.case_draft.case_texts import files_of, summary_lines
from leverframe.domain.pipeline.case_draft.table_facts import TableFacts
from leverframe.domain.pipeline.init import DRAFTED, Step, WriteFile
from leverframe.errors import SettingsError

_READ = (".csv", ".tsv", ".csv.gz", ".parquet")


def drafted_case(root: Path, tables: Sequence[str], asked: DraftOptions) -> tuple[list[Step], list[str]]:
    """Return the files of a case over tables, the first of which has the label, and what was guessed.

    Raises ``SettingsError`` for a file that is there already, and for what no case can be made of.
    """
    chosen = choice([_facts(root, path) for path in tables], asked)
    files = files_of(chosen)
    there = [path for path in files if (root / path).exists()]
    if there:
        raise SettingsError(
            f"{there[0]} is there already",
            why="a draft never overwrites",
            next="remove or rename it, or go on from what it says: `leverframe stages --write`",
        )
    return [WriteFile(path, text, DRAFTED) for path, text in files.items()], summary_lines(chosen)


def _facts(root: Path, given: str) -> TableFacts:
    path = Path(os.path.relpath(given, root)).as_posix()
    if path.startswith("../"):
        raise SettingsError(
            f"{given} is outside of the repository", why="CI reads the same path", next="copy it to `raw/`"
        )
    if not (root / path).is_file() or not path.lower().endswith(_READ):
        raise SettingsError(
            f"{path} is no table that can be read" if (root / path).exists() else f"there is no {path}",
            why=f"a table is a file whose name ends in {', '.join(_READ)}",
            next="name such a file",
        )
    separator = "\t" if path.lower().endswith(".tsv") else ","
    reader = Parquet(path) if path.lower().endswith(".parquet") else Csv(path, separator=separator)
    frame, _, _ = PolarsFrames(root, arrow_table).collect(path, PolarsFrames(root, arrow_table).read(reader, None))
    columns = facts_of(frame)
    if not frame.height:
        raise SettingsError(f"{path} has no rows", why="a draft looks at them", next="name a table with rows")
    return TableFacts(path, columns)
