"""The Python files of a draft: transforms of the sources, and contracts from the ranges of the data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator

from leverframe.domain.pipeline.case_draft.case_choice import Choice, Join
from leverframe.domain.pipeline.case_draft.table_facts import ColumnFacts, TableFacts

_DAY = "day"  # the timestamp of rows that have none
_WIDER = 0.5  # of its range, by which a number may leave it before a contract refuses the data
_TYPES = {"whole numbers": "int", "numbers": "float", "booleans": "bool", "texts": "str"}


def stamp_of(chosen: Choice) -> str:
    """Return the column with the timestamp of a row."""
    return _DAY if chosen.time is None else chosen.time.plain


def sources_text(chosen: Choice, head: str) -> str:
    """Return `sources.py`; ``head`` says where it comes from."""
    tables = (chosen.table, *(join.table for join in chosen.joined))
    names = sorted({"Source", *(_reader(table.path) for table in tables)})
    lines = [f'"""Where tables come from, {head}."""', "", "import polars as pl", ""]
    lines += [f"from leverframe.case import {', '.join(names)}", "", ""]
    lines += [*_first(chosen), "", ""]
    for join in chosen.joined:
        lines += [*_further(join), "", ""]
    lines += ["SOURCES = {", *_source(chosen.table, stamp_of(chosen))]
    for join in chosen.joined:
        lines += _source(join.table, join.time.plain if join.time else "")
    return "\n".join([*lines, "}", ""])


def _reader(path: str) -> str:
    return "Parquet" if path.lower().endswith(".parquet") else "Csv"


def _source(table: TableFacts, time: str) -> Iterator[str]:
    separator = ', separator="\\t"' if table.path.lower().endswith(".tsv") else ""
    yield f"    {_quoted(table.name)}: Source("
    yield f"        {_reader(table.path)}({_quoted(table.path)}{separator}),"
    yield f"        transform={table.name},"
    if time:
        yield f"        event_time={_quoted(time)},"
        yield f"        known_at={_quoted(time)},"
    yield "    ),"


def _first(chosen: Choice) -> Iterator[str]:
    label = chosen.label.plain
    yield from _begun(chosen.table, "one row a prediction; the label counts as known from its timestamp on")
    if chosen.label.nullable:
        yield f"    frame = frame.filter(pl.col({_quoted(label)}).is_not_null())"
    if chosen.time is None:
        yield "    # Rows have no time of use: each fifth one is held out, spread over the days that intervals compare."
        yield "    frame = frame.with_columns(held_out=pl.int_range(pl.len()).shuffle(seed=1) % 5 == 4)"
        yield '    year = pl.when("held_out").then(2001).otherwise(2000)'
        yield '    place = pl.int_range(pl.len()).shuffle(seed=1).over("held_out") % 365'
    made = ["row_number=pl.int_range(pl.len()).cast(pl.Int64)"] if chosen.made_key else []
    if chosen.of_two_texts:
        made.append(f"{label}=(pl.col({_quoted(label)}) == {_quoted(chosen.label.values[1])}).cast(pl.Int64)")
    elif chosen.label.holds == "booleans":
        made.append(f"{label}=pl.col({_quoted(label)}).cast(pl.Int64)")
    if chosen.time is None:
        made.append(f'{_DAY}=pl.datetime(year, 1, 1, time_zone="UTC") + pl.duration(days=place)')
    else:
        made.append(f"{chosen.time.plain}={chosen.time.as_time}")
    yield from _ended(made, "held_out" if chosen.time is None else "")


def _further(join: Join) -> Iterator[str]:
    yield from _begun(join.table, "the rows" if join.time is None else "the rows with their timestamps")
    yield from _ended([f"{join.time.plain}={join.time.as_time}"] if join.time else [])


def _begun(table: TableFacts, what: str) -> Iterator[str]:
    yield f"def {table.name}(frame: pl.LazyFrame) -> pl.LazyFrame:"
    yield f'    """Return {what}."""'
    renamed = {column.name: column.plain for column in table.columns if column.name != column.plain}
    if renamed:
        yield f"    frame = frame.rename({json.dumps(renamed, ensure_ascii=False)})"


def _ended(made: list[str], dropped: str = "") -> Iterator[str]:
    if not made:
        yield "    return frame"
        return
    yield "    return frame.with_columns("
    yield from (f"        {expression}," for expression in made)
    yield f"    ).drop({_quoted(dropped)})" if dropped else "    )"


def contracts_text(chosen: Choice, head: str) -> str:
    """Return `contracts.py`; ``head`` says where it comes from."""
    unique = {chosen.table.name: list(chosen.key_names)}
    unique |= {join.table.name: [join.key.plain] for join in chosen.joined if join.how == "looked up" and join.key}
    tables = (chosen.table, *(join.table for join in chosen.joined))
    lines = [f'"""What the tables hold, {head}."""', "", "import pandera.polars as pa", ""]
    lines += ["from leverframe.case import Contract, UniqueKey", ""]
    for table in tables:
        lines += ["", f"class {_class(table)}(pa.DataFrameModel):", f'    """One row of {table.name}."""', ""]
        lines += [*_fields(table, chosen), ""]
    lines += ["", "CONTRACTS = {"]
    for table in tables:
        columns = ", ".join(map(_quoted, unique.get(table.name, ())))
        monitors = f", monitors=(UniqueKey(({columns},)),)" if columns else ""
        lines.append(f"    {_quoted(table.name)}: Contract({_class(table)}{monitors}),")
    return "\n".join([*lines, "}", ""])


def _class(table: TableFacts) -> str:
    return "".join(part.capitalize() for part in table.name.split("_")) + "Rows"


def _fields(table: TableFacts, chosen: Choice) -> Iterator[str]:
    if table is chosen.table and chosen.made_key:
        yield "    row_number: int"
    times = {chosen.time, *(join.time for join in chosen.joined)}
    for column in table.columns:
        if column in times or column.holds not in _TYPES:
            continue  # times are checked where they are read
        if column is chosen.label and chosen.kind == "binary":
            yield f"    {column.plain}: int = pa.Field(isin=(0, 1))"
            continue
        options = ", ".join(_options(column, nullable=column.nullable and column is not chosen.label))
        yield f"    {column.plain}: {_TYPES[column.holds]}" + (f" = pa.Field({options})" if options else "")


def _options(column: ColumnFacts, *, nullable: bool) -> Iterator[str]:
    if column.holds in ("whole numbers", "numbers") and column.low < column.high and not column.unique:
        slack = (column.high - column.low) * _WIDER
        low = 0.0 if column.low >= 0 else column.low - slack
        yield f"in_range=({_end(low, column, math.floor)}, {_end(column.high + slack, column, math.ceil)})"
    if column.holds == "texts" and column.values and not column.unique:
        yield f"isin=({', '.join(map(_quoted, column.values))},)"
    if nullable:
        yield "nullable=True"


def _end(value: float, column: ColumnFacts, whole: Callable[[float], int]) -> str:
    return str(whole(value)) if column.holds == "whole numbers" else repr(float(f"{value:.6g}"))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
