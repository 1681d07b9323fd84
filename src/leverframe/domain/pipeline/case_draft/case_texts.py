"""The files of a draft: settings, sources, contracts and star schema, with a comment where somebody has to think."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leverframe.domain.pipeline.case_draft.case_choice import Choice, Join
from leverframe.domain.pipeline.case_draft.case_code import contracts_text, sources_text, stamp_of
from leverframe.domain.pipeline.case_draft.table_facts import ColumnFacts

HEAD = "drafted by `leverframe init --table`: read it, and correct what is not so"
_FIRST_METRIC = {"binary": "auc", "multiclass": "accuracy", "regression": "r2"}
_FEW_ROWS = 2000
_MOST_SLICES = 3


def files_of(chosen: Choice) -> dict[str, str]:
    """Return the files of the case by their paths from the root of the repository."""
    folder = f"pipelines/{chosen.table.name}"
    return {
        "params.yaml": _params(chosen),
        f"{folder}/sources.py": sources_text(chosen, HEAD),
        f"{folder}/contracts.py": contracts_text(chosen, HEAD),
        f"{folder}/star.yaml": _star(chosen),
        "leverframe.yaml": _levers(chosen),
    }


def summary_lines(chosen: Choice) -> list[str]:
    """Return what was guessed, in sentences for the terminal."""
    lines = [f"the label `{chosen.label.name}` is {chosen.kind}"]
    lines += [f"1 stands for `{chosen.label.values[1]}`"] if chosen.of_two_texts else []
    names = ", ".join(f"`{column.name}`" for column in chosen.key)
    lines.append(f"{names} identifies a row" if chosen.key else "no column identifies a row, so rows get a number")
    if chosen.time is None:
        lines.append("rows have no time that could split them: every fifth one is held out")
    else:
        lines.append(
            f"`{chosen.time.name}` says when: {chosen.split.holdout[0]} to {chosen.split.holdout[1]} is held out"
        )
    lines += [_said_of(join) for join in chosen.joins]
    idle = [column.name for column in chosen.idle]
    lines += (
        [f"left out, as they name rows or hold one value: {', '.join(f'`{name}`' for name in idle)}"] if idle else []
    )
    return lines


def _said_of(join: Join) -> str:
    if join.key is None:
        return f"{join.table.path} is left out: {join.why}"
    if join.how == "looked up":
        return f"{join.table.path} is looked up by `{join.key.name}`, which it holds once"
    time = join.time.name if join.time else ""
    return f"{join.table.path} is counted by `{join.key.name}` over the 28 days before, by `{time}`"


def _params(chosen: Choice) -> str:
    split, table = chosen.split, chosen.table
    few, number = table.rows < _FEW_ROWS, chosen.kind == "regression"
    kind = "Regressor" if number else "Classifier"
    linear = "sklearn.linear_model:Ridge" if number else "sklearn.linear_model:LogisticRegression"
    estimator = linear if few else f"sklearn.ensemble:HistGradientBoosting{kind}"
    given = "{}" if number and few else "{max_iter: 1000}" if few else "{random_state: 0, early_stopping: false}"
    slices = [column.plain for column in chosen.features if column.holds == "texts" and column.values][:_MOST_SLICES]
    period = [] if split.period == "month" else [f"  period: {split.period}"]
    group = ["  group: month # what one stage holds"] if split.period == "day" else []
    return "\n".join(
        [
            f"# What stages read; {HEAD}.",
            "data:",
            f"  case: pipelines.{table.name}",
            *period,
            *group,
            f'  first: "{split.train[0]}"',
            f'  last: "{split.holdout[1]}"',
            "  timezone: UTC # where a day begins",
            "features:",
            f"  label: {chosen.label.plain}",
            '  select: ["*"]',
            f'  train: {{first: "{split.train[0]}", last: "{split.train[1]}"}}',
            f'  holdout: {{first: "{split.holdout[0]}", last: "{split.holdout[1]}"}}',
            "train:",
            f"  estimator: {estimator}",
            f"  params: {given}",
            f"evaluate: {{slices: [{', '.join(slices)}]}}",
            f"bundle: {{model: {table.name.replace('_', '-')[:60].strip('-')}}}",
            "",
        ]
    )


def _levers(chosen: Choice) -> str:
    metric = _FIRST_METRIC[chosen.kind]
    return "\n".join(
        [
            f"# What levers read; {HEAD}.",
            "gate: # a pull request that breaks a rule is not to be merged",
            "  metrics:",
            f"    {metric}: {{maximum_drop: 0.02}} # even the lower bound must stay within it",
            "",
        ]
    )


def _star(chosen: Choice) -> str:
    table, joins = chosen.table, chosen.joined
    entities = {"row_key" if not chosen.key else chosen.key_names[0]: chosen.key_names}
    entity = next(iter(entities))
    entities |= {join.key.plain: (join.key.plain,) for join in joins if join.key}
    columns = [column.plain for column in chosen.features]
    stamp = stamp_of(chosen)
    lines = [f"# {HEAD[:1].upper()}{HEAD[1:]}.", "entities:"]
    lines += [f"  {name}: [{', '.join(keys)}]" for name, keys in entities.items()]
    lines += [
        "spine:",
        f"  table: {table.name}",
        f"  key: {entity}",
        f"  columns: [{', '.join(columns)}] # known when a prediction is made: take out what is known only later",
        "facts:",
        f"  outcome: {{table: {table.name}, known_at: {stamp}, max_lag: 1d, reveals: [{chosen.label.plain}]}}",
    ]
    counted = [join for join in joins if join.how == "counted" and join.time is not None]
    for join in counted:
        time = join.time.plain if join.time else ""
        lines.append(f"  {join.table.name}: {{table: {join.table.name}, known_at: {time}, max_lag: 1d}}")
    lines += _dimensions([join for join in joins if join.how == "looked up"])
    lines += _measures(counted)
    lines += [
        "labels:",
        f"  {chosen.label.plain}: {{fact: outcome, column: {chosen.label.plain}, kind: {chosen.kind}}}",
        "",
    ]
    return "\n".join(lines)


def _dimensions(joins: Sequence[Join]) -> Iterator[str]:
    if joins:
        yield "dimensions:"
    for join in joins:
        names = [column.plain for column in join.table.columns if column is not join.key and _feature(column)]
        key = join.key.plain if join.key else ""
        yield f"  {join.table.name}: {{table: {join.table.name}, key: {key}, columns: [{', '.join(names)}]}}"


def _measures(joins: Sequence[Join]) -> Iterator[str]:
    if joins:
        yield "measures:"
    for join in joins:
        key = join.key.plain if join.key else ""
        numbers = [
            column.plain for column in join.table.columns if column.holds == "numbers" and column is not join.key
        ]
        of = ", ".join(f"{name}: [mean]" for name in numbers[:5])
        of = ", ".join(filter(None, [f"{key}: [count]", of]))
        yield f"  {join.table.name}: {{fact: {join.table.name}, key: {key}, of: {{{of}}}, windows: [28d]}}"


def _feature(column: ColumnFacts) -> bool:
    if column.holds == "texts":
        return 1 < column.distinct <= max(20, column.rows // 2)
    return column.holds in ("whole numbers", "numbers", "booleans") and column.distinct > 1
