"""Files read as one table: columns by their own names and exact types, rows with their place.

DuckDB gives columns such as ``file_row_number`` to every file, and one of the same name in the file hides
it; it takes ``v`` and ``V`` for one column, folders called ``a=b`` for columns, and makes one type of
several by rounding. So here each column is read under a number, and types are made equal without loss or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import duckdb

from leverframe.adapters.duckdb.sql import column, parquet, sql_type, text, type_of
from leverframe.domain.data.column_types import (
    EXACT,
    NOTHING,
    common,
    differ_in_case,
    floating,
    mixed,
    same_but_case,
    two_types,
)

FILE, PLACE = "__file", "__place"  # which file a row stands in, and at which place, both from 0

_KEPT = 64
_READ: dict[tuple[object, ...], Relation] = {}  # a build asks for the files of a table several times

Types = dict[str, str]  # column to type, in the order of the file


@dataclass(frozen=True)
class Relation:
    """A SELECT of all columns of some files, with ``FILE`` and ``PLACE`` of each row; the types of the columns."""

    types: Mapping[str, str]
    sql: str


def relation(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], added: Collection[str] = ()) -> Relation:
    """Return files as one table; raises ``SourceError`` for columns that differ in case only or have no common type.

    Where no file has a row, texts that are ``added`` up have no type: CSV files without a row tell none.
    """
    key = (frozenset(added), *((file, *_state(file)) for file in files))
    if key not in _READ:
        if len(_READ) >= _KEPT:
            _READ.clear()
        _READ[key] = _relation(connection, files, added)
    return _READ[key]


def _state(file: Path) -> tuple[int, int]:
    """Return what changes with the content of a file; zeros where there is none, which reading it will say."""
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _relation(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], added: Collection[str]) -> Relation:
    schemas = {file: _types(connection, file) for file in files}
    first, *others = schemas.values()
    if all(list(first.items()) == list(other.items()) for other in others):
        known = _named(connection, files, first, added)
        shown = [
            f"{_cast(f'c{place}', first[name], known[name])} AS {column(name)}" for place, name in enumerate(first)
        ]
        own = [f"file_index::BIGINT AS {FILE}", f"file_row_number::BIGINT AS {PLACE}"]
        source = f"{parquet(files)} t({_numbered(first)})"
        return Relation(known, f"SELECT {', '.join([*shown, *own])} FROM {source}")
    names = dict.fromkeys(name for types in schemas.values() for name in types)
    refuse_same(names, files)
    together = {name: _common(connection, name, schemas) for name in names}
    parts = [_part(number, file, types, together) for number, (file, types) in enumerate(schemas.items())]
    return Relation(together, " UNION ALL ".join(parts))


def refuse_same(names: Sequence[str] | Mapping[str, object], files: Sequence[Path]) -> None:
    """Raise ``SourceError`` for names of columns that differ in case only."""
    twice = same_but_case(names)
    if twice:
        raise differ_in_case(twice, where(files[0]))


def where(file: Path) -> str:
    """Return a file as an error names it."""
    return f"{file.name} of {file.parent.name}"


def _types(connection: duckdb.DuckDBPyConnection, file: Path) -> Types:
    described = connection.execute(f"DESCRIBE SELECT * FROM {parquet([file])}").fetchall()
    query = f"SELECT name, coalesce(num_children, 0) FROM parquet_schema({text(str(file))})"
    names = _outer(
        connection.execute(query).fetchall()[1:]
    )  # DuckDB would give a new name to the second of `v` and `V`
    refuse_same(names, [file])
    return {name: type_of(dtype) for name, (_, dtype, *_) in zip(names, described, strict=True)}


def _outer(elements: Sequence[tuple[str, int]]) -> list[str]:
    """Return the names of columns among the elements of a schema, which has those inside a column right behind it."""
    names, inside = [], 0
    for name, children in elements:
        if inside:
            inside += children - 1
        else:
            names.append(name)
            inside = children
    return names


def _named(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], types: Types, added: Collection[str]) -> Types:
    """Return the types, ``NOTHING`` for texts without any value: so CSV files show a column that is empty.

    Where no file has a row they keep theirs, but for those that are ``added`` up.
    """
    texts = [name for name, dtype in types.items() if dtype == "text"]
    if not _has_rows(connection, files):
        return {name: NOTHING if name in texts and name in added else dtype for name, dtype in types.items()}
    empty = _without_value(connection, files, texts) if texts else set()
    return {name: NOTHING if name in empty else dtype for name, dtype in types.items()}


def _has_rows(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> bool:
    listed = ", ".join("?" for _ in files)
    query = f"SELECT coalesce(sum(num_rows), 0) > 0 FROM parquet_file_metadata([{listed}])"
    return bool(connection.execute(query, [str(file) for file in files]).fetchone() == (True,))


def _without_value(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], names: Sequence[str]) -> set[str]:
    """Return which columns have no value in the files, as far as their footers tell."""
    listed = ", ".join("?" for _ in files)
    counts = connection.execute(
        "SELECT path_in_schema, sum(num_values) = sum(stats_null_count) AND count(*) = count(stats_null_count) "
        f"FROM parquet_metadata([{listed}]) WHERE num_values > 0 GROUP BY ALL",
        [str(file) for file in files],
    ).fetchall()
    if not counts:  # there is no row at all
        return set(names)
    return {name for name, empty in counts if empty and name in set(names)}


def _common(connection: duckdb.DuckDBPyConnection, name: str, schemas: Mapping[Path, Types]) -> str:
    """Return the type of a column over all files; raises ``SourceError`` where there is none."""
    held = {file: types[name] for file, types in schemas.items() if name in types}
    kinds = set(held.values())
    if len(kinds) > 1:  # a column without a value has no type, whatever the file says
        filled = {file: dtype for file, dtype in held.items() if not _is_empty(connection, file, name)}
        kinds = set(filled.values()) or {NOTHING}
        held = filled or held
    elif kinds == {"text"} and name in _without_value(connection, list(held), [name]):
        return NOTHING
    together = next(iter(kinds))
    for other in sorted(kinds):
        wider = common(together, other)
        if wider is None:
            return _by_values(connection, name, held)
        together = wider
    return together


def _is_empty(connection: duckdb.DuckDBPyConnection, file: Path, name: str) -> bool:
    if name in _without_value(connection, [file], [name]):
        return True
    (count,) = connection.execute(f"SELECT count({column(name)}) FROM {parquet([file])}").fetchone() or (0,)
    return not count


def _by_values(connection: duckdb.DuckDBPyConnection, name: str, held: Mapping[Path, str]) -> str:
    """Return a type for whole numbers in some files and doubles in others, if one holds every value."""
    files = list(held)
    clash = next((one, other) for one, other in combinations(files, 2) if common(held[one], held[other]) is None)
    error = two_types(name, *((held[file], where(file)) for file in clash))
    if not all(held[one] == held[other] or common(held[one], held[other]) or mixed(held[one], held[other])
               for one, other in combinations(files, 2)):  # fmt: skip
        raise error
    whole = [file for file in files if not floating(held[file])]
    doubles = [file for file in files if floating(held[file])]
    if _none(connection, whole, f"abs({column(name)}::HUGEINT) > {EXACT}"):
        return "float64"
    value = column(name)
    if _none(connection, doubles, f"isfinite({value} / 2) AND ({value} <> trunc({value}) OR abs({value}) > {EXACT})"):
        together = held[whole[0]]
        for file in whole:
            together = common(together, held[file]) or together
        return common(together, "int64") or together
    raise error


def _none(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], condition: str) -> bool:
    (count,) = connection.execute(f"SELECT count(*) FROM {parquet(files)} WHERE {condition}").fetchone() or (0,)
    return not count


def _part(number: int, file: Path, types: Types, together: Mapping[str, str]) -> str:
    """Return the SELECT of one file, each column in the type that it has over all files."""
    places = {name: f"c{place}" for place, name in enumerate(types)}
    shown = [f"{_cast(places.get(name), types.get(name), dtype)} AS {column(name)}" for name, dtype in together.items()]
    place = [f"{number}::BIGINT AS {FILE}", f"file_row_number::BIGINT AS {PLACE}"]
    return f"SELECT {', '.join([*shown, *place])} FROM {parquet([file])} t({_numbered(types)})"


def _cast(place: str | None, held: str | None, wanted: str) -> str:
    if place is None or NOTHING in (held, wanted):
        return f"NULL::{sql_type(wanted)}"
    if held == wanted:
        return place
    finite = f"CASE WHEN isfinite({place} / 2) THEN {place} END" if floating(str(held)) else place
    return f"TRY_CAST({finite} AS {sql_type(wanted)})"  # a file whose column has no value may be of any type


def _numbered(types: Types) -> str:
    return ", ".join(f"c{number}" for number in range(len(types)))
