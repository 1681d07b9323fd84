"""One CSV file as a frame: unpacked, decoded, its lines counted, then read by polars."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from leverframe.domain.data.csv_lines import Dialect, other_separator, uneven
from leverframe.domain.data.readers import Csv
from leverframe.errors import SourceError, nearest
from leverframe.words import first_line

_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # with which files of other encodings begin


def read_csv(file: str, reader: Csv) -> pl.DataFrame:
    """Return the rows of a file; raises ``SourceError`` where its form is another than ``reader`` says."""
    content, skipped = _without_first(_decoded(file, _unpacked(file, reader), reader), reader.skip_rows)
    dialect = Dialect(reader.separator, reader.quote, reader.comment)
    types: dict[str, Any] = dict(reader.types or {})
    if not content.strip():
        return _of_nothing(file, reader, types)
    _refuse_other_form(file, reader, content, dialect, skipped)
    frame = pl.read_csv(
        content,
        has_header=not reader.columns,
        new_columns=list(reader.columns) or None,
        separator=reader.separator,
        quote_char=reader.quote,
        comment_prefix=reader.comment,
        null_values=reader.nulls or None,
        decimal_comma=reader.decimal == ",",
        truncate_ragged_lines=reader.ragged,
        infer_schema_length=None,
        schema_overrides=types,
    )
    refuse_unknown(f"the `types` of {file}", types, frame.columns)
    return frame


def refuse_unknown(what: str, types: dict[str, Any], known: list[str]) -> None:
    """Raise ``SourceError`` for a column that is given a type and is not there."""
    for name in types:
        if name not in known:
            raise SourceError(
                f"{what} name a column `{name}`, which is not there",
                why="a type that reaches no column changes nothing, and nobody would notice",
                next=nearest(name, known),
            )


def _unpacked(file: str, reader: Csv) -> bytes:
    """Return the bytes of a file, or of the one inside an archive."""
    match reader.compression_of(file):
        case "none":
            return Path(file).read_bytes()
        case "zip":
            with zipfile.ZipFile(file) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/")]
                if len(names) != 1:
                    raise SourceError(
                        f"{file} holds {len(names)} files",
                        why=f"a table is read from one: {', '.join(names[:5]) or 'there is none'}",
                        next="unpack the archive, or put one file into each",
                    )
                return archive.read(names[0])
        case compression:
            try:
                with pa.input_stream(file, compression=compression) as stream:
                    return bytes(stream.read())
            except OSError as error:
                if isinstance(error, FileNotFoundError):
                    raise
                raise SourceError(
                    f"cannot unpack {file} as {compression}",
                    why=first_line(error)[:200],
                    next='it is damaged, or packed otherwise: `Csv(..., compression="none")` reads it as it is',
                ) from error


def _decoded(file: str, content: bytes, reader: Csv) -> bytes:
    """Return the content in UTF-8; raises ``SourceError`` for bytes that are not of the declared encoding."""
    try:
        text = content.decode(reader.encoding)
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = content[:start].count(b"\n") + 1
        guess = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "cp1252")
        raise SourceError(
            f"{file} is not encoded in {reader.encoding}",
            why=f"line {line} holds {content[start : start + 4]!r}, which is no text in it",
            next=f'name its encoding in sources.py: `Csv(..., encoding="{guess}")`, for example',
        ) from error
    bare = text.removeprefix("\ufeff")
    utf_8 = reader.encoding.lower().replace("_", "-") in ("utf-8", "utf8") and bare is text
    return content if utf_8 else bare.encode()


def _without_first(content: bytes, lines: int) -> tuple[bytes, int]:
    """Return the content below its first lines, and how many were left out."""
    place = 0
    for number in range(lines):
        newline = content.find(b"\n", place)
        if newline < 0:
            return b"", number
        place = newline + 1
    return content[place:], lines


def _of_nothing(file: str, reader: Csv, types: dict[str, Any]) -> pl.DataFrame:
    if not reader.columns:
        raise SourceError(
            f"{file} is empty: it has no header line",
            why="nothing names its columns",
            next="write the header line also where there are no rows; `Csv(..., columns=(...))` does without one",
            absent=True,
        )
    return pl.DataFrame(schema={name: types.get(name, pl.String) for name in reader.columns})


def _refuse_other_form(file: str, reader: Csv, content: bytes, dialect: Dialect, skipped: int) -> None:
    """Raise ``SourceError`` for a file with another separator, or with lines of too few or too many fields."""
    mark = other_separator(content, dialect)
    if mark:
        raise SourceError(
            f"{file} is not separated by {reader.separator!r}",
            why=f"it would be one column, and its lines hold {mark!r} equally often",
            next=f"write `Csv(..., separator={mark!r})` in sources.py"
            + ("; with `decimal=','` where numbers have a comma" if mark == ";" else ""),
        )
    lines = None if reader.ragged else uneven(content, dialect, len(reader.columns) or None)
    if lines:
        more = f"; {lines.lines:,} lines are of another length" if lines.lines > 1 else ""
        raise SourceError(
            f"line {lines.line + skipped} of {file} has {lines.fields} of {lines.wanted} fields",
            why=f"what a line lacks would silently be null{more}",
            next="fix the line, or its quotes; `Csv(..., ragged=True)` fills such lines with nulls and drops what "
            "is too many",
        )
