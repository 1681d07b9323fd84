"""What a draft chooses: the kind of the label, the key, the time, features, splits, and how tables are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from leverframe.domain.features.training_set import LabelKind
from leverframe.domain.pipeline.case_draft.table_facts import ColumnFacts, TableFacts
from leverframe.errors import SettingsError, nearest

_MOST_CLASSES = 20
_MOST_IDLE = 0.5  # of the rows: a text with more values names rows rather than telling them apart
_KEYS = ("id", "key", "uuid", "index")
_MONTHS_OF_DAYS, _LEAST_DAYS = 120, 28  # from how many days on data are split by months, and by time at all
_HOLDOUT = 5  # the last part of so many
_WEEKS, _WHOLE_MONTH = 14, 28  # days


@dataclass(frozen=True)
class DraftOptions:
    """What the command line says of the first table, by its columns: the label, and where given time and key."""

    label: str
    time: str | None = None
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Join:
    """A further table: looked up by a key that it holds once, counted over time by one that repeats, or left out."""

    table: TableFacts
    how: Literal["looked up", "counted", "left out"]
    key: ColumnFacts | None = None
    time: ColumnFacts | None = None
    why: str = ""


@dataclass(frozen=True)
class Split:
    """How data arrive, and which keys training and hold-out have."""

    period: Literal["day", "month", "none"]
    train: tuple[str, str]
    holdout: tuple[str, str]


@dataclass(frozen=True)
class Choice:
    """A draft in the words of a case; ``made_key`` tells that the rows get a number, as no column identifies them."""

    table: TableFacts
    label: ColumnFacts
    kind: LabelKind
    time: ColumnFacts | None
    key: tuple[ColumnFacts, ...]
    features: tuple[ColumnFacts, ...]
    idle: tuple[ColumnFacts, ...]
    joins: tuple[Join, ...]
    split: Split

    @property
    def made_key(self) -> bool:
        """Whether the rows get a number as their key."""
        return not self.key

    @property
    def of_two_texts(self) -> bool:
        """Whether the label has two texts, of which the last in the alphabet becomes 1."""
        return self.kind == "binary" and self.label.holds == "texts"

    @property
    def joined(self) -> tuple[Join, ...]:
        """The further tables that are used."""
        return tuple(join for join in self.joins if join.how != "left out")

    @property
    def key_names(self) -> tuple[str, ...]:
        """The columns that identify a row."""
        return tuple(column.plain for column in self.key) or ("row_number",)


def choice(tables: Sequence[TableFacts], asked: DraftOptions) -> Choice:
    """Return the draft; raises ``SettingsError`` for a column that is not there, or a label that nothing can learn."""
    table = tables[0]
    _refuse_alike(tables)
    label = _column(table, asked.label, "--label")
    time = _column(table, asked.time, "--time") if asked.time else None
    if time is not None and not time.as_time:
        raise SettingsError(
            f"`{time.name}` of {table.path} holds no timestamps",
            why=f"it holds {time.holds}; dates, ISO 8601 and seconds since 1970 are read",
            next="name another column as `--time`, or leave it out where rows have no time",
        )
    key = tuple(_column(table, name, "--key") for name in asked.key) or _guessed_key(table, label)
    split = _split(time)
    joins = tuple(_join(table, other, {label.name, *([time.name] if time else [])}) for other in tables[1:])
    reserved = {label.name, *(column.name for column in key), *([time.name] if time else [])}
    joined = {join.key.name for join in joins if join.key is not None}
    rest = [column for column in table.columns if column.name not in reserved]
    idle = [column for column in rest if _idle(column)]
    features = [column for column in rest if column not in idle and column.name not in joined]
    chosen = Choice(table, label, _kind(label), time if split.period != "none" else None, key, tuple(features),
                    tuple(idle), joins, split)  # fmt: skip
    if not features and not any(join.how != "left out" for join in joins):
        raise SettingsError(
            f"{table.path} has no column to learn from",
            why="beside label, time and key its columns name rows, or hold one value",
            next="add columns, or a table that is joined by a key: `--table` again",
        )
    return chosen


def _refuse_alike(tables: Sequence[TableFacts]) -> None:
    """Raise ``SettingsError`` where two tables, or two columns of one, would have the same name in a case."""
    names = [(f"the table {table.path}", table.name) for table in tables]
    for where, given in (("tables", names), *((t.path, [(f"`{c.name}`", c.plain) for c in t.columns]) for t in tables)):
        seen: dict[str, str] = {}
        for what, plain in given:
            if plain in seen:
                raise SettingsError(
                    f"{seen[plain]} and {what} of {where} are both called `{plain}`",
                    why="names in a case have small letters, digits and `_`",
                    next="rename one of them",
                )
            seen[plain] = what


def _column(table: TableFacts, name: str, option: str) -> ColumnFacts:
    column = table.column(name)
    if column is None:
        raise SettingsError(
            f"{table.path} has no column `{name}`",
            why=f"{option} names it",
            next=nearest(name, [column.name for column in table.columns]),
        )
    return column


def _kind(label: ColumnFacts) -> LabelKind:
    """Return the kind of the label; raises ``SettingsError`` where it has one value, or is a text of very many."""
    if label.distinct < 2:
        raise SettingsError(
            f"the label `{label.name}` has one value", why="there is nothing to learn", next="name another column"
        )
    if label.holds == "booleans" or set(label.values) in ({"0", "1"}, {"0.0", "1.0"}):
        return "binary"
    if label.holds == "texts" and len(label.values) == 2:
        return "binary"
    if label.values and label.holds in ("texts", "whole numbers"):
        return "multiclass"
    if label.holds in ("whole numbers", "numbers"):
        return "regression"
    raise SettingsError(
        f"the label `{label.name}` has {label.distinct:,} values",
        why=f"a label is a number, or one of at most {_MOST_CLASSES} classes; it holds {label.holds}",
        next="name another column",
    )


def _guessed_key(table: TableFacts, label: ColumnFacts) -> tuple[ColumnFacts, ...]:
    """Return the column that identifies a row by its values and its name; none where no column does."""
    unique = [column for column in table.columns if column.unique and column.holds in ("whole numbers", "texts")]
    named = [
        column for column in unique if any(column.plain == word or column.plain.endswith(f"_{word}") for word in _KEYS)
    ]
    texts = [column for column in unique if column.holds == "texts" and column is not label]
    return tuple((named or texts)[:1])


def _idle(column: ColumnFacts) -> bool:
    """Tell whether a column says nothing that a model could use: one value, no value, or the name of a row."""
    if column.distinct <= 1 or column.holds in ("other", "times"):
        return True
    return column.holds == "texts" and column.distinct > max(_MOST_CLASSES, _MOST_IDLE * column.rows)


def _join(first: TableFacts, other: TableFacts, taken: set[str]) -> Join:
    shared = [
        column for column in other.columns
        if column.name not in taken and (ours := first.column(column.name)) is not None and ours.holds == column.holds
        and column.holds in ("whole numbers", "texts")
    ]  # fmt: skip
    unique = [column for column in shared if column.unique]
    if unique:
        return Join(other, "looked up", unique[0])
    time = next((column for column in other.columns if column.as_time), None)
    if shared and time is not None:
        return Join(other, "counted", shared[0], time)
    if shared:
        why = f"`{shared[0].name}` comes again in it, and no column holds times over which it could be counted"
        return Join(other, "left out", why=why)
    return Join(other, "left out", why=f"it has no column of {first.path} that could be a key")


def _split(time: ColumnFacts | None) -> Split:
    """Return the last part of the time as hold-out; days that stand for none where there is none, or too little."""
    if time is None or time.first is None or time.last is None:
        return _made_up()
    first, last = time.first.date(), time.last.date()
    days = (last - first).days + 1
    if days < _LEAST_DAYS:
        return _made_up()
    if days < _MONTHS_OF_DAYS:
        start = last - timedelta(days=max(_WEEKS, days // _HOLDOUT) - 1)
        return Split("day", (str(first), str(start - timedelta(days=1))), (str(start), str(last)))
    months = _months(first, last)
    held = max(1, len(months) // _HOLDOUT)
    held += int(held == 1 and last.day < _WHOLE_MONTH)  # intervals need weeks of days
    return Split("month", (months[0], months[-held - 1]), (months[-held], months[-1]))


def _made_up() -> Split:
    return Split("none", ("2000-01-01", "2000-12-31"), ("2001-01-01", "2001-12-31"))


def _months(first: date, last: date) -> list[str]:
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    places = [first.year * 12 + first.month - 1 + number for number in range(count)]
    return [f"{place // 12:04d}-{place % 12 + 1:02d}" for place in places]
