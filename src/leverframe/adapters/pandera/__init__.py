"""pandera: holds a Parquet file against a schema for polars, values included, without loading it whole.

Three traps of the library are closed here. On a LazyFrame its default depth looks at names and
types only, and an environment variable can switch it off: both are set for each call. A broken
check keeps every broken value in memory and writes them into one message: each check is wrapped
in one that only counts and keeps a few. A check that warns says nothing else: its severity is read
from ``raise_warning``, and then it is counted like any other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

# With this variable and pyspark beside it, the import of pandera may end the process, with code 0.
os.environ.pop("PANDERA_USE_NARWHALS_BACKEND", None)

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData
from pandera.config import ValidationDepth, config_context, get_config_global, set_config
from pandera.constants import CHECK_OUTPUT_KEY
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors, SchemaInitError

from leverframe.domain.data.constraint import SAMPLE_CHARACTERS, SAMPLES, Constraint, Severity, cut, significant
from leverframe.domain.verdict import Reason
from leverframe.errors import DefinitionError, SourceError
from leverframe.words import first_few, first_line

WHOLE_TABLE = "*"  # what pandera calls the column of a check on the table
_LOOKED_AT = 200  # broken rows among which different samples are sought
_MISSING, _WRONG_TYPE = SchemaErrorReason.COLUMN_NOT_IN_DATAFRAME, SchemaErrorReason.WRONG_DATATYPE
_UNDECLARED = SchemaErrorReason.COLUMN_NOT_IN_SCHEMA
_LISTED = 20  # columns that a strict schema names, of those that it does not declare
_CHANGES = {  # what in a schema would alter the table, and what does the work instead
    "coerce": "types are given in the transform of the source",
    "drop_invalid_rows": "rows are filtered in the transform of the source",
    "add_missing_columns": "columns are added in the transform of the source",
    "default": "nulls are filled in the transform of the source",
}


class PanderaChecker:
    """The ``Checker`` port for pandera models and schemas of polars."""

    def check(self, table: str, path: Path, schema: object) -> tuple[Constraint, ...]:
        """Return one constraint a column about its presence and type, and one a check of values.

        Raises ``SourceError`` for a file that cannot be read and ``DefinitionError`` for a schema
        that is not pandera's or would change the table.
        """
        declared = _declared(table, schema)
        frame = pl.scan_parquet(path)
        try:
            known = frame.collect_schema().names()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceError(
                f"cannot read {path}",
                why=f"the file is damaged: {first_line(error)[:200]}",
                next="`dvc pull` fetches a good copy, `dvc repro` makes it again",
            ) from error
        frame = _typed(frame, declared)
        patterns = {name: _matches(column, frame) for name, column in declared.columns.items() if column.regex}
        tallies = [*_column_tallies(table, declared), *_table_tallies(table, declared)]
        errors = _validated(_counting(declared, patterns, tallies), frame)
        values = [constraint for tally in tallies for constraint in tally.constraints(known)]
        types = _types(table, declared, errors, [*known, *(name for name, there in patterns.items() if there)])
        undeclared = _undeclared(table, declared, frame, known)
        return (*types, *undeclared, *_others(table, declared, errors), *values)


def _typed(frame: pl.LazyFrame, schema: pa.DataFrameSchema) -> pl.LazyFrame:
    """Return the frame in which a column without any value has the type that is declared: it has none of its own."""
    held = frame.collect_schema()
    declared = {name: getattr(column.dtype, "type", None) for name, column in schema.columns.items()}
    differ = [name for name, dtype in declared.items() if dtype is not None and name in held and held[name] != dtype]
    if not differ:
        return frame
    empty = frame.select(pl.col(name).is_null().all() for name in differ).collect().row(0, named=True)
    types: dict[str, Any] = {name: declared[name] for name in differ if empty[name]}
    return frame.with_columns(pl.col(name).cast(dtype) for name, dtype in types.items())


def _declared(table: str, schema: object) -> pa.DataFrameSchema:
    """Return the schema of a model, or the schema itself; raises ``DefinitionError``."""
    if isinstance(schema, type) and issubclass(schema, pa.DataFrameModel):
        try:
            schema = schema.to_schema()
        except SchemaInitError as error:
            raise DefinitionError(
                f"the contract of `{table}` is not a pandera schema",
                why=cut(str(error), 200),
                next="fix the model in contracts.py",
            ) from error
    if not isinstance(schema, pa.DataFrameSchema):
        raise DefinitionError(
            f"the contract of `{table}` has no pandera schema",
            why=f"it holds {type(schema).__name__}, a model or schema of pandera.polars is needed",
            next="declare a class that inherits from pandera.polars.DataFrameModel",
        )
    columns = list(schema.columns.values())
    for name, instead in _CHANGES.items():
        given = [getattr(part, name, None) for part in (schema, *columns)]
        if any(value is not None and value is not False for value in given):
            raise DefinitionError(
                f"the contract of `{table}` uses `{name}` of pandera",
                why="a contract looks at the table as it is; what it changed would reach no later stage",
                next=f"leave it out: {instead}",
            )
    return schema


def _validated(schema: pa.DataFrameSchema, frame: pl.LazyFrame) -> list[SchemaError]:
    """Let pandera validate names, types and values of the frame, and return what it found."""
    if get_config_global().use_narwhals_backend:  # the environment must not choose the engine
        set_config(use_narwhals_backend=False)
    with (
        config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA),
        pl.Config(engine_affinity="streaming"),
    ):
        try:
            schema.validate(frame, lazy=True)
        except SchemaErrors as error:
            return list(error.schema_errors)
    return []


def _matches(column: pa.Column, frame: pl.LazyFrame) -> bool:
    """Tell whether a column declared as a pattern is there at all; pandera would give up without it."""
    return bool(frame.select(pl.col(column.selector)).collect_schema())


def _first_line(error: Exception) -> str:
    return cut(first_line(str(error).strip()) or "without a word", 200)


@dataclass
class _Tally:
    """A check that pandera calls with the table: it counts instead of keeping what is broken.

    ``column`` is the declared name, or pattern, and empty for a check on the table; ``counted``
    gets a constraint for each column it was called for.
    """

    constraint: Constraint
    check: pa.Check
    column: str = ""
    pattern: bool = False
    counted: list[Constraint] = field(default_factory=list)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Tally:
        """Return itself: pandera validates with copies of a schema, and one place must remember."""
        return self

    def __call__(self, data: PolarsData) -> bool:
        """Count the rows of ``data`` that break the check; pandera is told to go on, it would keep them all."""
        try:
            constraint = self._counted(data)
        except Exception as error:  # a check is the case's own code: whatever it raises, the others still run
            detail = f"it could not run: {type(error).__name__}: {_first_line(error)}"
            constraint = self.constraint.failed_by(Reason.CONTRACT_BROKEN, column=_column(data), detail=detail)
        self.counted.append(constraint)
        return True

    def _counted(self, data: PolarsData) -> Constraint:
        columns = [data.key] if _column(data) else _columns_read(self.check, data.lazyframe)
        constraint = replace(self.constraint, column=", ".join(columns))
        result = self.check(data.lazyframe, data.key)
        held = result.check_output.collect().to_series()
        broken = len(held) - int(held.sum())
        if not broken:
            return constraint
        rows = data.lazyframe.select(pl.len()).collect().item()
        if result.failure_cases is None or len(held) != rows:  # the check is about the table, not about rows
            return constraint.failed_by(Reason.CONTRACT_BROKEN)
        fields = {"count": broken, "share": significant(broken / rows), "samples": _samples(result, columns)}
        return constraint.failed_by(Reason.CONTRACT_BROKEN, **fields)

    def constraints(self, known: list[str]) -> list[Constraint]:
        """Return what was found; raises ``AssertionError`` if pandera passed over a column that is there."""
        there = not self.pattern and (not self.column or self.column in known)
        if there and not self.counted:
            raise AssertionError(f"pandera did not run {self.constraint.check} on {self.column or 'the table'}")
        return self.counted


def _column(data: PolarsData) -> str:
    return "" if data.key == WHOLE_TABLE else data.key


def _columns_read(check: pa.Check, frame: pl.LazyFrame) -> list[str]:
    """Return the columns that a check on the table reads: those that it misses when they are not there."""
    schema = frame.collect_schema()
    read = []
    for name in schema:
        without = pl.LazyFrame(schema={other: type_ for other, type_ in schema.items() if other != name})
        with suppress(Exception):  # an empty table may be too little for it; only what is shown depends on this
            try:
                check(without, WHOLE_TABLE)
            except pl.exceptions.ColumnNotFoundError:
                read.append(name)
    return read


def _samples(result: Any, columns: list[str]) -> tuple[str, ...]:
    """Return a few different broken values, or rows, in the order of the file."""
    failures = result.failure_cases.select(columns or pl.exclude(CHECK_OUTPUT_KEY)).head(_LOOKED_AT)
    texts = [pl.col(name) for name, type_ in failures.collect_schema().items() if type_ == pl.String]
    rows = failures.with_columns(_short(text) for text in texts).collect().rows(named=True)
    return tuple(dict.fromkeys(_shown(row) for row in rows))[:SAMPLES]


def _short(text: pl.Expr) -> pl.Expr:
    """Cut a long text before it leaves polars, in the words of ``cut``."""
    length = text.str.len_chars()
    more = pl.format("{}… +{} characters", text.str.head(SAMPLE_CHARACTERS), length - SAMPLE_CHARACTERS)
    return pl.when(length > SAMPLE_CHARACTERS).then(more).otherwise(text).alias(text.meta.output_name())


def _shown(row: dict[str, Any]) -> str:
    """Return one value, or ``name=value`` of several."""
    values = {name: _written(value) for name, value in row.items()}
    return next(iter(values.values())) if len(values) == 1 else ", ".join(f"{k}={v}" for k, v in values.items())


def _written(value: Any) -> str:
    """Return a value as a person reads it: 26.7, not 26.700000000000003."""
    if value is None:
        return "null"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _column_tallies(table: str, schema: pa.DataFrameSchema) -> Iterator[_Tally]:
    for name, column in schema.columns.items():
        checks = list(column.checks)
        if not column.nullable:
            checks.insert(0, pa.Check(_is_present, name="not_null", ignore_na=False))
        if column.unique:
            checks.append(pa.Check(_is_alone, name="unique"))
        for check in checks:
            yield _Tally(_constraint(table, check), check, column=name, pattern=column.regex)


def _table_tallies(table: str, schema: pa.DataFrameSchema) -> Iterator[_Tally]:
    checks = list(schema.checks)
    if schema.unique:
        keys = [schema.unique] if all(isinstance(key, str) for key in schema.unique) else schema.unique
        checks += [pa.Check(_are_alone, name="unique", columns=key) for key in keys]
    for check in checks:
        yield _Tally(_constraint(table, check), check)


def _is_present(data: PolarsData) -> pl.LazyFrame:
    value, (type_,) = pl.col(data.key), data.lazyframe.select(data.key).collect_schema().dtypes()
    return data.lazyframe.select(value.is_not_null() & value.is_not_nan() if type_.is_float() else value.is_not_null())


def _is_alone(data: PolarsData) -> pl.LazyFrame:
    return data.lazyframe.select(~pl.col(data.key).is_duplicated())


def _are_alone(data: PolarsData, columns: list[str]) -> pl.LazyFrame:
    return data.lazyframe.select(~pl.struct(columns).is_duplicated())


def _constraint(table: str, check: pa.Check) -> Constraint:
    """Return the constraint of a check as declared: pandera's words for its own, the author's for others."""
    severity = Severity.WARN if check.raise_warning else Severity.ERROR
    own = check.name is not None and pa.Check.is_builtin_check(check.name)
    words = check.error if own and check.error else check.name
    detail = check.description or (check.error if not own else None)
    return Constraint(table, cut(str(words)), severity=severity, detail=detail or "")


def _counting(declared: pa.DataFrameSchema, patterns: dict[str, bool], tallies: list[_Tally]) -> pa.DataFrameSchema:
    """Return the schema with each check of values replaced by its tally, and without patterns that match nothing."""
    checks: dict[str, list[pa.Check]] = {}
    for tally in tallies:
        checks.setdefault(tally.column, []).append(pa.Check(tally))
    columns = {
        name: pa.Column(
            column.dtype, checks.get(name), nullable=True, required=column.required, regex=column.regex, name=name
        )
        for name, column in declared.columns.items()
        if patterns.get(name, True)
    }
    strict = declared.strict is True  # "filter" would only drop what nobody looks at
    return pa.DataFrameSchema(columns, checks.get(""), strict=strict, ordered=declared.ordered, name=declared.name)


def _types(table: str, schema: pa.DataFrameSchema, errors: list[SchemaError], known: list[str]) -> Iterator[Constraint]:
    """Return a constraint a declared column: it is there, with its type."""
    wrong = {error.column_name: error.failure_cases for error in errors if error.reason_code is _WRONG_TYPE}
    for name, column in schema.columns.items():
        constraint = Constraint(table, f"type({column.dtype})" if column.dtype else "present", column=name)
        if name in wrong:
            yield constraint.failed_by(Reason.CONTRACT_BROKEN, detail=f"its type is {wrong[name]}{_way(wrong[name])}")
        elif name in known:
            yield constraint
        elif column.required:
            yield constraint.without_column(name, set(known) - set(schema.columns) or known)
        else:
            yield constraint.skipped("the column is optional and not there")


def _way(held: object) -> str:
    """Return what gives a column its declared type: the values of a file told another one."""
    comma = ", `decimal` where numbers have a comma" if str(held) == "String" else ""
    return f"; `types` of its reader in sources.py gives it one{comma}"


def _undeclared(table: str, schema: pa.DataFrameSchema, frame: pl.LazyFrame, known: list[str]) -> Iterator[Constraint]:
    """Return what a strict schema says of columns that it does not declare; pandera names one of them."""
    if schema.strict is not True:
        return
    declared = set(schema.columns)
    for column in schema.columns.values():
        declared |= set(frame.select(pl.col(column.selector)).collect_schema().names()) if column.regex else set()
    more = [name for name in known if name not in declared]
    constraint = Constraint(table, "column_in_schema", column=cut(", ".join(more)))
    if more:
        listed = first_few([cut(name) for name in more], _LISTED)
        detail = f"{len(more)} columns are not declared, and the schema is strict: {listed}"
        yield constraint.failed_by(Reason.CONTRACT_BROKEN, detail=detail)


def _others(table: str, schema: pa.DataFrameSchema, errors: list[SchemaError]) -> Iterator[Constraint]:
    """Return a constraint for each error about names that belongs to no single declared column."""
    for error in errors:
        if error.reason_code is _UNDECLARED:
            continue
        if error.reason_code is _MISSING or (error.reason_code is _WRONG_TYPE and error.column_name in schema.columns):
            continue
        name = error.column_name or (error.failure_cases if isinstance(error.failure_cases, str) else "")
        constraint = Constraint(table, cut(str(error.check)), column=cut(str(name)))
        yield constraint.failed_by(Reason.CONTRACT_BROKEN, detail=_first_line(error))
