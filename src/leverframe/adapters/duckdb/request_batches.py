"""Rows of requests as DuckDB gives them, in Arrow, become batches of numpy; what is no row of the model is counted."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leverframe.domain.monitoring.batch import NO_TIME, Batch, Levels, LogFacts, Numbers, Values
from leverframe.domain.monitoring.log_query import LogFile, LogQuery
from leverframe.words import first_line

OURS, MALFORMED, OTHER_MODEL, OUTCOME, UNTIMED, LATER, EARLIER = range(7)  # what a row of the relation is
_HOUR = 3_600_000_000
_FORMATS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}
_NAMES = 20  # names of models of others, and of columns, that are kept


@dataclass
class Tally:
    """What is counted beside the rows while a log is read."""

    files: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
    unreadable: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, Counter[int]] = field(default_factory=lambda: {"refused": Counter(), "failed": Counter()})
    others: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    clocks: Counter[int] = field(default_factory=Counter)

    def facts(self) -> LogFacts:
        """Return it as the domain has it."""
        return LogFacts(
            files=self.files,
            malformed=dict(self.malformed),
            unreadable=dict(self.unreadable),
            refused=dict(self.outcomes["refused"]),
            failed=dict(self.outcomes["failed"]),
            other_models=dict(self.others),
            unexpected=dict(self.unexpected),
            untimed=self.clocks[UNTIMED],
            later=self.clocks[LATER],
            earlier=self.clocks[EARLIER],
        )

    def note(self, file: LogFile, error: Exception) -> None:
        """Remember why a file cannot be read, or no further."""
        why = first_line(error).replace(str(file.path), file.name)
        self.unreadable[file.name] = re.sub(r"^[A-Za-z ]*Error: ", "", why)[:200]

    def see(self, columns: Iterable[str], asked: Set[str]) -> None:
        """Count the columns of a file, or of a part of one, that nobody asked for."""
        for name in sorted(set(columns) - asked):
            if name in self.unexpected or len(self.unexpected) < _NAMES:
                self.unexpected[name[:100]] += 1

    def take(self, rows: pa.Table, files: Sequence[LogFile]) -> None:
        """Count rows that are none of the model, summed up by what they are; malformed ones name a number of a file."""
        sums = rows.select(["what", "name", "us", "n"]).group_by(["what", "name", "us"]).aggregate([("n", "sum")])
        for row in sums.to_pylist():
            what, name, count = row["what"], str(row["name"]), int(row["n_sum"] or 0)
            if what == MALFORMED:
                self.malformed[files[int(name)].name] += count
            elif what == OTHER_MODEL:
                kept = name in self.others or len(self.others) < _NAMES
                self.others[name[:100] if kept else "others"] += count
            elif what == OUTCOME:
                self.outcomes[name][row["us"] // _HOUR * _HOUR] += count
            else:
                self.clocks[what] += count


def format_of(file: LogFile, asked: str) -> str:
    """Return `parquet`, `csv` or what else is read line by line; ``asked`` goes before the ending, unless `auto`."""
    if asked != "auto":
        return asked
    endings = [suffix for suffix in file.path.suffixes if suffix != ".gz"]
    return _FORMATS.get(endings[-1].lower() if endings else "", "lines")


def timestamp(value: str) -> str:
    """Return SQL that reads a text as microseconds since the epoch, in UTC where it names no zone, else null."""
    return f"epoch_us(TRY_CAST({value} AS TIMESTAMPTZ))"


def number(value: str) -> str:
    """Return SQL that reads a text as a number; what is there and is none becomes infinite, as infinite values do."""
    return f"CASE WHEN {value} IS NOT NULL THEN coalesce(TRY_CAST({value} AS DOUBLE), 'infinity'::DOUBLE) END"


def boolean(value: str) -> str:
    """Return SQL that reads a text as true or false, however it is written; any other stays as it is."""
    return f"CASE WHEN lower({value}) IN ('true', '1', '1.0') THEN 'true' " \
           f"WHEN lower({value}) IN ('false', '0', '0.0') THEN 'false' ELSE {value} END"  # fmt: skip


def without_fraction(value: str) -> str:
    """Return SQL of a text that says 5 where it said 5.0; any other text stays as it is."""
    return f"regexp_replace({value}, '^(-?[0-9]+)[.]0+$', '\\1')"


def key(values: Sequence[str]) -> str:
    """Return SQL of a hash of texts, 0 where one is missing; 5 is the same as 5.0, a timestamp the same in any zone."""
    made = []
    for value in values:
        is_timestamp = f"regexp_matches({value}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]')"
        instant = f"coalesce({timestamp(value)}::VARCHAR, {value})"
        made.append(f"CASE WHEN {is_timestamp} THEN {instant} ELSE {without_fraction(value)} END")
    lacking = " OR ".join(f"{value} IS NULL" for value in values) or "true"
    return f"CASE WHEN {lacking} THEN 0::UBIGINT ELSE greatest(hash({', '.join(made)}), 1::UBIGINT) END AS key"


def prediction_columns(query: LogQuery) -> list[str]:
    """Return the names that the relation has for the numbers of a prediction."""
    return [f"p{place}" for place in range(len(query.classes) if query.label == "multiclass" else 1)]


def places(query: LogQuery) -> dict[str, str]:
    """Return the columns that are asked for and the names that the relation has for them."""
    return {column.name: f"x{place}" for place, column in enumerate(query.columns)}


def mask(flags: list[str]) -> str:
    """Return SQL of a text with a 1 for each flag that holds, else 0."""
    if not flags:
        return "''"
    return "concat(" + ", ".join(f"CASE WHEN {flag} THEN '1' ELSE '0' END" for flag in flags) + ")"


def what_of_time(at: str, query: LogQuery) -> str:
    """Return the branches of a CASE that tell rows apart whose time is not asked for."""
    _, until = query.bounds
    return f"WHEN {at} IS NULL THEN {UNTIMED} WHEN {at} >= {until} THEN {LATER}"


def batches(rows: pa.Table, query: LogQuery, tally: Tally, files: Sequence[LogFile]) -> Iterator[Batch]:
    """Yield the rows of the model, those with the same columns together; what else stands there is counted."""
    ours = _read(rows["what"], np.int32, -1) == OURS
    if not ours.all():
        tally.take(rows.filter(pa.array(~ours)), files)
        rows = rows.filter(pa.array(ours))
    if not rows.num_rows:
        return
    codes, masks = _coded(rows["present"])
    for code, held in enumerate(masks):
        part = rows if len(masks) == 1 else rows.filter(pa.array(codes == code))
        yield _batch(part, query, held)


def _batch(rows: pa.Table, query: LogQuery, held: str) -> Batch:
    names = [name for (name, _), flag in zip(places(query).items(), held, strict=True) if flag == "1"]
    predictions = np.column_stack([_doubles(rows[name]) for name in prediction_columns(query)])
    predictions[~np.isfinite(predictions)] = np.nan
    return Batch(
        at=_integers(rows["us"], NO_TIME),
        row=_hashes(rows["row"]),
        columns={name: _values(rows[places(query)[name]], name in query.numbers) for name in names},
        predictions=predictions if query.label == "multiclass" else predictions[:, 0],
        release=_levels(rows["release"]),
        milliseconds=_doubles(rows["milliseconds"]),
        snapshot=_integers(rows["snapshot"], NO_TIME),
        missed=_missed(rows["missed"], rows["i"]),
        place=_integers(rows["i"], 0),
        key=_hashes(rows["key"]) if query.keys else None,
    )


def _values(column: Any, is_number: bool) -> Values:
    if not is_number:
        return _levels(column)
    values = _doubles(column)
    strange = np.isinf(values)
    if not strange.any():
        return Numbers(values)
    values[strange] = np.nan
    return Numbers(values, int(strange.sum()), strange)


def _doubles(column: Any) -> NDArray[np.float64]:
    """Return doubles that may be written to, NaN for null."""
    return np.array(_read(column, np.float64, np.nan))


def _integers(column: Any, missing: int) -> NDArray[np.int64]:
    return _read(column, np.int64, missing)


def _hashes(column: Any) -> NDArray[np.uint64]:
    return _read(column, np.uint64, 0)


def _read(column: Any, dtype: Any, missing: float) -> NDArray[Any]:
    """Return numbers to the last digit, ``missing`` for null, without the ways of pyarrow: they import pandas."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    valid, values = array.buffers()
    read = np.frombuffer(values, dtype, len(array), array.offset * np.dtype(dtype).itemsize)
    if not array.null_count:
        return read
    bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
    return np.where(bits[array.offset : array.offset + len(array)], read, dtype(missing))


def _levels(column: Any) -> Levels:
    return Levels(*_coded(column))


def _coded(column: Any) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return texts as codes, -1 for null, and the texts."""
    coded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    codes, names = _read(coded.indices, np.int32, -1), coded.dictionary.to_pylist()
    if None not in names:
        return codes, tuple(names)
    gap = names.index(None)
    moved = np.where(codes > gap, codes - 1, codes)
    return np.where(codes == gap, -1, moved).astype(np.int32), tuple(name for name in names if name is not None)


def _missed(texts: Any, place: Any) -> dict[str, NDArray[np.bool_]]:
    """Return which rows a table lacked, from texts such as {"dimension plane":[0,2]}, the rows of their request."""
    codes, words = _coded(texts)
    rows = _integers(place, 0)
    missed: dict[str, NDArray[np.bool_]] = {}
    for code, word in enumerate(words):
        for table, lacking in _tables(word).items():
            flags = missed.setdefault(table, np.zeros(len(rows), np.bool_))
            flags |= (codes == code) & np.isin(rows, lacking)
    return missed


def _tables(text: str) -> dict[str, list[int]]:
    try:
        tables = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(tables, dict):
        return {}
    return {
        table[:100]: [row for row in rows if type(row) is int and 0 <= row < 2**31]
        for table, rows in tables.items()
        if isinstance(rows, list)
    }
