"""How a table is read: from CSV or Parquet files, by a query of DuckDB, or by a function of the case.

``types`` gives columns a polars type, in every reader: a column whose values alone tell its type has another
one where a file holds none of them. In a CSV file values are read as that type; elsewhere they become it where
no digit is lost, and are refused where one would be.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from leverframe.domain.partition import Partition
from leverframe.errors import DefinitionError, guide_page, nearest

Compression = Literal["infer", "none", "gzip", "bz2", "zstd", "zip"]
Types = Mapping[str, Any] | None

_ENDINGS: Mapping[str, Compression] = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".zip": "zip"}


@dataclass(frozen=True)
class Csv:
    """A CSV file or a glob of files; in the folder of an installed package if named.

    ``{partition}`` in the path stands for the key of the partition that is read, and ``{hour}``,
    ``{day}``, ``{week}``, ``{month}``, ``{quarter}`` and ``{year}`` for the key of the one around it:
    ``logs/{year}/{day}.csv`` is read once a day. In a static table they stand for any. Columns without
    ``types`` get one from their values, so that an identifier of digits would become a number, and lose its
    leading zeros, in a file where all are digits. An empty field is null, and so is one of ``null_values``.
    ``columns`` names those of a file without a header line. A line with another number of fields than the
    first is refused; ``ragged`` fills what it lacks with nulls and drops what is too many.
    """

    path: str
    package: str | None = None
    null_values: str | Sequence[str] = ""
    types: Types = None
    separator: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    quote: str | None = '"'
    columns: Sequence[str] = ()
    skip_rows: int = 0
    comment: str | None = None
    compression: Compression = "infer"
    ragged: bool = False

    @property
    def nulls(self) -> list[str]:
        """Return the texts that mean null."""
        return [self.null_values] if isinstance(self.null_values, str) else list(self.null_values)

    def compression_of(self, file: str) -> Compression:
        """Return how a file is compressed, by its ending where ``compression`` does not say."""
        if self.compression != "infer":
            return self.compression
        return next((kind for ending, kind in _ENDINGS.items() if file.lower().endswith(ending)), "none")


@dataclass(frozen=True)
class Parquet:
    """A Parquet file or a glob of files; placeholders as in ``Csv``."""

    path: str
    types: Types = None


@dataclass(frozen=True)
class Query:
    """A SELECT, or the name of a table, that DuckDB can read; attached read-only to ``database`` if named.

    Placeholders in the path of the database as in ``Csv``.
    """

    sql: str
    database: str | None = None
    types: Types = None


@dataclass(frozen=True)
class Function:
    """A Python function from a partition to any frame that polars can take.

    It is called once a partition; with None for a static table, and where data have no partitions.
    ``reads`` names the files of this repository that it reads, as in ``Csv``: `dvc repro` calls it
    again when they change, and cannot know of others.
    """

    call: Callable[[Partition | None], Any]
    reads: tuple[str, ...] = ()
    types: Types = None


Reader = Csv | Parquet | Query | Function


def check_reader(name: str, reader: object) -> None:
    """Raise ``DefinitionError`` for a reader of the source ``name`` that cannot work, with the option at fault."""
    if not isinstance(reader, Reader):
        raise DefinitionError(
            f"source `{name}` is read by {type(reader).__name__}",
            why="a source is read by Csv, Parquet, Query or Function of leverframe.case",
            next='write `Source(Csv("raw/visits.csv"))`, for example',
        )
    if not isinstance(reader, Csv):
        return
    marks = {"separator": reader.separator, "quote": reader.quote, "comment": reader.comment}
    for option, mark in marks.items():
        if mark is not None and (len(mark) != 1 or not mark.isascii() or mark in "\r\n"):
            raise _wrong(name, option, mark, "it is one ASCII character, such as a semicolon or a tab")
    if len({*filter(None, marks.values())}) < sum(mark is not None for mark in marks.values()):
        raise _wrong(name, "separator", reader.separator, "separator, quote and comment are different characters")
    if reader.decimal not in (".", ",") or reader.decimal == reader.separator:
        why = "numbers have a point or a comma, and not the character that separates fields"
        raise _wrong(name, "decimal", reader.decimal, why)
    if reader.compression not in get_args(Compression):
        raise _wrong(name, "compression", reader.compression, nearest(reader.compression, get_args(Compression)))
    if reader.skip_rows < 0:
        raise _wrong(name, "skip_rows", reader.skip_rows, "it is the number of lines above the header")
    if isinstance(reader.columns, str) or len(set(reader.columns)) < len(reader.columns):
        raise _wrong(name, "columns", reader.columns, "it lists a name for each column, all different")
    try:
        codecs.lookup(reader.encoding)
    except LookupError:
        why = "Python knows no encoding of that name; utf-8, cp1252, latin-1 and utf-16 are usual ones"
        raise _wrong(name, "encoding", reader.encoding, why) from None


def _wrong(name: str, option: str, given: object, why: str) -> DefinitionError:
    return DefinitionError(
        f"`{option}` of source `{name}` cannot be {given!r}",
        why=why,
        next=f"correct it in sources.py; {guide_page('declarations.md')} lists the options",
    )
