"""The phases of stages on several machines: writers before readers, no phase too many, and what each one runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.pipeline.runners.runner_jobs import labels_text
from leverframe.domain.pipeline.runners.runner_phases import SMALL, Phases, phases, runners_of
from leverframe.domain.pipeline.runners.runner_share import Needs, Share, needs, share, stale
from leverframe.domain.pipeline.status.reasons import PipelineStatus, StageStatus, State
from leverframe.domain.pipeline.status.resolved import Locked, Recorded, Stage
from leverframe.errors import DefinitionError, SettingsError
from leverframe.yaml_files import parse

Graph = tuple[list[str], list[tuple[str, str]], dict[str, str]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Return stages in an order in which they can run, edges between them, and a machine for some."""
    names = [f"s{number}" for number in range(draw(st.integers(0, 7)))]
    possible = [(names[i], names[j]) for j in range(len(names)) for i in range(j)]
    edges = draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    machines = {name: draw(st.sampled_from((SMALL, "gpu", "big"))) for name in names}
    return names, edges, {name: machine for name, machine in machines.items() if machine}


@given(graphs())
def test_each_stage_runs_once_on_its_machine_after_what_it_reads(graph: Graph) -> None:
    """The first and the last phase are small, no machine follows itself, and no phase in between is idle."""
    names, edges, machines = graph
    plan = phases(names, edges, machines)
    assert sorted(name for phase in plan.phases for name in phase.stages) == sorted(names)
    assert [phase.number for phase in plan.phases] == list(range(1, plan.last + 1))
    assert plan.phases[0].runner == plan.phases[-1].runner == SMALL
    assert all(one.runner != other.runner for one, other in zip(plan.phases, plan.phases[1:], strict=False))
    assert all(phase.stages for phase in plan.phases[1:-1])
    for phase in plan.phases:
        assert {machines.get(name, SMALL) for name in phase.stages} <= {phase.runner}
    for writer, reader in edges:
        assert plan.of(writer).number <= plan.of(reader).number


@given(graphs())
def test_no_order_of_machines_is_shorter(graph: Graph) -> None:
    """Held against all sequences of machines, shorter ones first."""
    names, edges, machines = graph
    last = phases(names, edges, machines).last
    assert not any(
        _completes((SMALL, *middle, SMALL)[:length], names, edges, machines)
        for length in range(1, last)
        for middle in product((SMALL, "gpu", "big"), repeat=max(0, length - 2))
    )


def _completes(
    sequence: Sequence[str], names: Sequence[str], edges: Sequence[tuple[str, str]], machines: Mapping[str, str]
) -> bool:
    done: set[str] = set()
    for machine in sequence:
        for name in names:  # writers come first
            if machines.get(name, SMALL) == machine and all(one in done for one, other in edges if other == name):
                done.add(name)
    return len(done) == len(names)


@given(graphs(), st.data())
def test_the_phases_together_run_what_is_needed_and_nothing_else(graph: Graph, data: st.DataObject) -> None:
    """Whatever is stale, each stage of it runs in one phase after what it reads; an idle machine is not named."""
    names, edges, machines = graph
    plan = phases(names, edges, machines)
    first = data.draw(st.sets(st.sampled_from(names))) if names else set()
    needed = first | plan.behind(first)
    ran: list[str] = []
    later: tuple[int, ...] | None = None
    for phase in plan.phases:
        rest = needed - set(ran)
        part = share(plan, phase.number, rest)
        if later is not None and phase.runner and phase.number not in later:
            assert not part.mine
            continue
        assert part.mine | part.elsewhere == rest
        assert {plan.runner(name) for name in part.mine} <= {phase.runner}
        assert all(plan.before([name]).isdisjoint(rest - part.mine) for name in part.mine)
        ran += sorted(part.mine)
        later = part.later
    assert sorted(ran) == sorted(needed)


def test_the_first_phase_runs_only_what_another_machine_waits_for() -> None:
    """What only the last phase reads is left to it, and so does not travel."""
    assert phases(list("abt"), [("a", "t")], {}).last == 1
    plan = phases(["a", "b", "t", "d"], [("a", "t"), ("t", "d"), ("b", "d")], {"t": "gpu"})
    assert [phase.stages for phase in plan.phases] == [("a",), ("t",), ("b", "d")]
    assert share(plan, 1, {"a", "b", "d"}).mine == set()  # nobody else has to run
    assert share(plan, 1, {"a", "t", "d"}) == Share(frozenset("a"), frozenset("td"), (2,))


def test_a_machine_that_was_lost_is_made_up_for_by_a_later_phase_of_it() -> None:
    """As its second phase runs what the first one left; the last phase never runs what is not its own."""
    plan = phases(list("abcd"), [("a", "b"), ("b", "c"), ("c", "d")], {"b": "gpu", "d": "gpu"})
    assert [phase.runner for phase in plan.phases] == ["", "gpu", "", "gpu", ""]
    assert share(plan, 4, {"b", "c", "d"}).mine == {"b"}
    assert share(plan, 5, {"b", "c", "d"}) == Share(frozenset(), frozenset("bcd"), ())


def test_a_graph_that_changes_machines_too_often_is_refused() -> None:
    """With what to do, and not after minutes."""
    names = [f"s{number:02}" for number in range(40)]
    edges = list(pairwise(names))
    with pytest.raises(DefinitionError, match="more than 15 phases"):
        phases(names, edges, dict.fromkeys(names[::2], "gpu"))
    with pytest.raises(DefinitionError, match="depend on one another"):
        phases(["a", "b"], [("a", "b"), ("b", "a")], {})


STAGES = [
    Stage("prepare", "dvc.yaml", "x"),
    Stage("finetune@a", "dvc.yaml", "x", group="finetune"),
    Stage("finetune@b", "dvc.yaml", "x", group="finetune"),
    Stage("model/dvc.yaml:train", "model/dvc.yaml", "x"),
    Stage("rows.csv.dvc", "rows.csv.dvc"),
]


@pytest.mark.parametrize(
    ("patterns", "stages"),
    [
        (["finetune"], {"finetune@a", "finetune@b"}),
        (["finetune@*"], {"finetune@a", "finetune@b"}),
        (["finetune@a", "*:train"], {"finetune@a", "model/dvc.yaml:train"}),
    ],
)
def test_a_pattern_names_stages_or_their_groups(patterns: list[str], stages: set[str]) -> None:
    assert set(runners_of(STAGES, {"gpu": patterns})) == stages


def test_a_pattern_that_fits_nothing_or_two_machines_is_refused() -> None:
    """With the nearest name; data that no stage writes are no stage."""
    with pytest.raises(SettingsError, match="no stage matches `finetun`") as caught:
        runners_of(STAGES, {"gpu": ["finetun"]})
    assert "finetune" in caught.value.next
    with pytest.raises(SettingsError, match="no stage matches"):
        runners_of(STAGES, {"gpu": ["*.dvc"]})
    with pytest.raises(SettingsError, match="two runners: `gpu` and `big`"):
        runners_of(STAGES, {"gpu": ["finetune"], "big": ["*@a"]})


def _entry(command: str, *outputs: str) -> Locked:
    return Locked(command, {}, {}, {path: Recorded("0" * 32) for path in outputs})


def test_what_has_to_run_is_stale_or_claims_something() -> None:
    """Another machine does not start for metrics alone; an entry that is not the base's is verified anywhere."""
    stages = {name: Stage(name, "dvc.yaml", "x") for name in ("prepare", "train", "evaluate", "frozen")}
    stages["frozen"] = Stage("frozen", "dvc.yaml", "x", frozen=True)
    edges = (("prepare", "train"), ("train", "evaluate"))
    plan = phases(list(stages), edges, {"train": "gpu"})

    def status(**states: State) -> PipelineStatus:
        statuses = tuple(StageStatus(stage, states.get(name, State.FRESH)) for name, stage in stages.items())
        return PipelineStatus(statuses, edges)

    base = {"prepare": _entry("p"), "train": _entry("t", "live.json"), "evaluate": _entry("e", "metrics.json")}
    metrics = ["metrics.json", "live.json"]
    assert needs(status(), plan, (base, base), metrics, set(), full=False) == Needs(
        frozenset(), frozenset({"evaluate"})
    )
    claimed = base | {"train": _entry("t2", "live.json")}
    assert needs(status(), plan, (claimed, base), metrics, set(), full=False).all == {"train", "evaluate"}
    changed = status(prepare=State.CHANGED, frozen=State.CHANGED)
    assert stale(changed, plan, set()) == {"prepare", "train", "evaluate"}
    assert stale(changed, plan, {"prepare"}) == set()
    everything = needs(status(), plan, (base, base), metrics, {"prepare"}, full=True)
    assert everything == Needs(frozenset({"train", "evaluate"}))


def test_the_plan_says_what_is_before_and_behind() -> None:
    plan = Phases((), (("a", "b"), ("b", "c"), ("x", "c")))
    assert plan.behind(["a"]) == {"b", "c"}
    assert plan.before(["c"]) == {"a", "b", "x"}


@pytest.mark.parametrize("label", ["gpu", "true", "no", "null", "1.5", "1_000", "0x1f", "2001-01-01", "a.b-c_d"])
def test_a_label_is_a_text_to_whoever_reads_the_workflow(label: str) -> None:
    for labels in ([label], [label, "large"], ["self-hosted", label]):
        read = parse(f"runs-on: {labels_text(labels)}", name="x", what="a workflow")["runs-on"]
        assert ([read] if isinstance(read, str) else read) == labels
