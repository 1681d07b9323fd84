"""What a definition resolves to, what differs from the lock, and how it is told; no disk, no git."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leverframe.domain.pipeline.status.compare import Comparison, Presence
from leverframe.domain.pipeline.status.definition import Definition
from leverframe.domain.pipeline.status.graph import edges, ordered
from leverframe.domain.pipeline.status.lock import entries, locked_here
from leverframe.domain.pipeline.status.parameters import findings, parsed, shown
from leverframe.domain.pipeline.status.reasons import Finding, PipelineStatus, StageStatus, StaleReason, State
from leverframe.domain.pipeline.status.resolved import Artefact, Locked, ParameterFile, Recorded, Stage, located
from leverframe.domain.pipeline.status.staleness import run, selected
from leverframe.domain.pipeline.status.status_table import document, mermaid, next_step, phrase, table
from leverframe.domain.pipeline.status.template import FlagStyle, Scope, flags
from leverframe.errors import DefinitionError, LeverframeError, RepositoryError, SettingsError
from leverframe.yaml_files import parse

GOLDEN = Path(__file__).parents[1] / "golden" / "status"


def stages(text: str, **files: dict[str, Any]) -> list[Stage]:
    content = parse(text, name="dvc.yaml", what="a pipeline definition")
    return Definition("dvc.yaml", content, lambda path: files.get(path.replace(".", "_")), FlagStyle()).stages()


def test_foreach_over_a_list_and_a_mapping() -> None:
    instances = stages(
        "stages:\n"
        "  a: {foreach: [x, y], do: {cmd: 'run ${item}'}}\n"
        "  b: {foreach: {p: {q: 1}, 2: {q: 2}}, do: {cmd: 'run ${key} ${item.q}'}}\n"
        "  c: {foreach: [{n: 1}, {n: 2}], do: {cmd: 'run ${item.n}'}}\n"
    )
    assert [(stage.name, stage.command) for stage in instances] == [
        ("a@x", "run x"), ("a@y", "run y"), ("b@p", "run p 1"), ("b@2", "run 2 2"), ("c@0", "run 1"), ("c@1", "run 2"),
    ]  # fmt: skip
    assert (instances[2].group, instances[2].key) == ("b", "p")


def test_values_come_from_variables_and_files() -> None:
    text = "vars: [{a: {b: 1}}, 'more.yaml:c']\nstages:\n  s: {cmd: 'run ${a.b} ${d} ${c[1]} \\${e}'}\n"
    (stage,) = stages(text, params_yaml={"d": True}, more_yaml={"c": [1, 2], "d": "hidden"})
    assert stage.command == "run 1 true 2 ${e}"


def test_outputs_and_parameters_in_every_form() -> None:
    (stage,) = stages(
        "stages:\n  s:\n    cmd: x\n    wdir: w\n    deps: [../a]\n"
        "    params: [k, {p.yaml: [l]}, {q.json: }]\n"
        "    outs: [o, {m: {cache: false}}]\n    metrics: [{r: {cache: false, desc: d}}]\n    plots: [{t: {x: a}}]\n"
    )
    assert stage.dependencies == (Artefact("a", "../a"),)
    assert stage.parameters == (
        ParameterFile("w/params.yaml", "params.yaml", ("k",)),
        ParameterFile("w/p.yaml", "p.yaml", ("l",)),
        ParameterFile("w/q.json", "q.json", ()),
    )
    assert [(output.path, output.cached) for output in stage.outputs] == [
        ("w/o", True), ("w/m", False), ("w/r", False), ("w/t", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("stages: {s: {cmd: 'x ${nothing}'}}", "nothing"),
        ("stages: {s: {cmd: x, dependencies: [a]}}", "dependencies"),
        ("stages: {s: {cmd: x, deps: 'a'}}", "a list"),
        ("stages: {s: {cmd: x, params: ['train.*']}}", "wildcard"),
        ("stages: {s: {foreach: [true, false], do: {cmd: x}}}", "true or false"),
        ("stages: {s: {foreach: 3, do: {cmd: x}}}", "foreach"),
        ("stages: {s: {foreach: [1], cmd: x}}", "do"),
        ("stages: {s: {matrix: {a: 1}, cmd: x}}", "matrix"),
        ("stages: {s: {deps: [a]}}", "cmd"),
        ("stages: {s: 3}", "mapping"),
        ("stages: [a]", "stages"),
        ("vars: [{a: 1}, {a: 2}]\nstages: {s: {cmd: x}}", "`a`"),
        ("vars: [gone.yaml]\nstages: {s: {cmd: x}}", "gone.yaml"),
        ("vars: [{a: [1]}]\nstages: {s: {cmd: x, deps: ['${a}']}}", "list"),
        ("stages: {s: {cmd: x, outs: [a: 3]}}", "flags"),
    ],
)
def test_what_cannot_be_resolved_is_said(text: str, word: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        stages(text)
    assert word in caught.value.render()
    assert caught.value.next


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first text of a process is slow to draw
@given(st.dictionaries(st.sampled_from("abc"), st.one_of(st.integers(), st.booleans(), st.text()), max_size=3))
def test_a_value_survives_its_template(values: dict[str, Any]) -> None:
    scope = Scope(values, "here", FlagStyle())
    for name, value in values.items():
        assert scope.resolve("${" + name + "}") == value


def test_flags_of_a_mapping() -> None:
    values = {"on": True, "off": False, "n": 1, "text": "two words", "list": ["a", "b"], "in": {"x": 1}}
    assert flags(values, FlagStyle()) == "--on --n 1 --text 'two words' --list a b --in.x 1"
    assert flags({"off": False, "list": [1, 2]}, FlagStyle(negated=True, repeated=True)) == "--no-off --list 1 --list 2"


@pytest.mark.parametrize(
    ("now", "before", "reason", "old", "new"),
    [
        ({"a": {"b": 2}}, {"a.b": 1}, StaleReason.PARAMETER_CHANGED, "1", "2"),
        ({"a": {"b": "1"}}, {"a.b": 1}, StaleReason.PARAMETER_CHANGED, "1", '"1"'),
        ({"a": {}}, {"a.b": 1}, StaleReason.PARAMETER_MISSING, "1", None),
        ({"a": {"b": None}}, {}, StaleReason.PARAMETER_ADDED, None, "null"),
        (None, {}, StaleReason.PARAMETER_FILE_MISSING, None, None),
    ],
)
def test_parameters_that_differ(
    now: dict[str, Any] | None, before: dict[str, Any], reason: StaleReason, old: str | None, new: str | None
) -> None:
    (finding,) = findings(ParameterFile("params.yaml", "params.yaml", ("a.b",)), now, before)
    assert (finding.reason, finding.old, finding.new) == (reason, old, new)


def test_the_one_difference_inside_a_section_is_named() -> None:
    file = ParameterFile("params.yaml", "params.yaml", ("train",))
    (one,) = findings(file, {"train": {"a": {"b": 2}, "c": 3}}, {"train": {"a": {"b": 1}, "c": 3}})
    assert phrase(one) == "parameter train.a.b: 1 -> 2"
    (two,) = findings(file, {"train": {"a": 2, "c": 4}}, {"train": {"a": 1, "c": 3}})
    assert two.subject == "train"
    assert len(shown("x" * 500)) == 60


def test_yaml_is_read_as_dvc_reads_it() -> None:
    text = "a: 1e-3\nb: yes\nc: 0o17\nd: 010\ne: 12:30\nf: ~\ng: 0x1F\nh: 1_000\ni: .5\nj: 2013-01\n"
    values = parsed(text, "params.yaml")
    assert values == {
        "a": 0.001, "b": "yes", "c": 15, "d": 10, "e": "12:30", "f": None, "g": 31, "h": 1000, "i": 0.5, "j": "2013-01",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path"), [("{", "a.json"), ("[1]", "a.json"), ("= 1", "a.toml"), ("a = (", "a.py"), ("- 1", "a.yaml")]
)
def test_parameter_files_that_cannot_be_read(text: str, path: str) -> None:
    with pytest.raises(LeverframeError):
        parsed(text, path)


def test_the_graph_follows_folders_and_refuses_cycles() -> None:
    a = Stage("a", "dvc.yaml", "x", dependencies=(Artefact("made/one", "made/one"),))
    b = Stage("b", "dvc.yaml", "x", outputs=(Artefact("made", "made"),))
    c = Stage("c", "dvc.yaml", "x", dependencies=(Artefact("made", "made"), Artefact("all", "all")))
    d = Stage("d", "dvc.yaml", "x", outputs=(Artefact("all/of/it", "all/of/it"),))
    pairs = edges([a, b, c, d])
    assert pairs == [("b", "a"), ("b", "c"), ("d", "c")]
    assert [stage.name for stage in ordered([a, b, c, d], pairs)] == ["b", "d", "a", "c"]
    with pytest.raises(DefinitionError, match="depend on one another"):
        ordered([a, b], [("a", "b"), ("b", "a")])
    with pytest.raises(DefinitionError, match="same file"):
        edges([b, Stage("e", "dvc.yaml", "x", outputs=(Artefact("made", "made"),))])


def test_paths_stay_relative_to_the_root() -> None:
    assert located("../a/./b", "x/y", "here") == "x/a/b"
    assert located("..", "x", "here") == "."
    assert located("../../a", "x", "here") == "../a"


class MemoryTree:
    """A working tree of texts: whatever is there is as recorded, unless its name says otherwise."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def text(self, path: str) -> str | None:
        return self.texts.get(path)

    def look(self, path: str, recorded: Recorded | None) -> Comparison:
        if path not in self.texts:
            return Comparison(Presence.ABSENT)
        return Comparison(Presence.SAME if recorded and not recorded.md5.startswith("other") else Presence.DIFFERENT)

    def cached(self, recorded: Recorded) -> bool:
        return recorded.md5 == "cached"

    def known(self, path: str) -> bool:
        return self.texts[path] == "of another commit"

    def ignored(self, path: str) -> bool:
        return path.startswith("ignored/")

    def shared(self, path: str) -> bool:
        """Everything is of the project."""
        return not path.startswith("../")

    def flag_style(self) -> FlagStyle:
        return FlagStyle()

    def take(self, stored: Mapping[str, bytes]) -> None:
        raise AssertionError(stored)

    def keep(self) -> None:
        """Nothing was learnt."""


class MemoryRepository:
    """A repository with one revision, after which everything in ``changed`` changed."""

    def __init__(self, texts: dict[str, str], head: dict[str, str], changed: list[str]) -> None:
        self.texts, self.head, self.changed, self.converted = texts, head, changed, dict[str, bytes]()

    def files(self, *patterns: str) -> list[str]:
        return [path for path in self.texts if any(fnmatchcase(path, pattern) for pattern in patterns)]

    def show(self, revision: str, path: str) -> bytes | None:
        return self.head[path].encode() if revision == "HEAD" and path in self.head else None

    def as_stored(self, paths: Iterable[str]) -> dict[str, bytes]:
        return {path: self.converted[path] for path in paths if path in self.converted}

    def lost_links(self, paths: Iterable[str]) -> list[str]:
        return [path for path in paths if path.startswith("link")]

    def changed_since_commit_of(self, path: str, within: Sequence[str]) -> list[str]:
        return [file for file in self.changed if path == "dvc.lock" and any(file.startswith(p) for p in within)]


def status_of(
    texts: dict[str, str], *, head: dict[str, str] | None = None, changed: list[str] | None = None
) -> PipelineStatus:
    return run(MemoryRepository(texts, head or {}, changed or []), MemoryTree(texts))


LOCKED = """\
schema: '2.0'
stages:
  make: {cmd: x, outs: [{path: o, hash: md5, md5: other}]}
  read: {cmd: x, deps: [{path: o, hash: md5, md5: other}]}
"""


def reasons(status: PipelineStatus) -> list[str]:
    """Return the reasons of all findings."""
    return [finding.reason.value for stage in status.stages for finding in stage.findings]


def test_what_another_commit_left_is_not_stale_and_neither_is_who_reads_it() -> None:
    """After a switch of branches; what somebody edited is, and so is who reads that. Added data go the same way."""
    definition = {"dvc.yaml": "stages: {make: {cmd: x, outs: [o]}, read: {cmd: x, deps: [o]}}\n", "dvc.lock": LOCKED}
    left = status_of({**definition, "o": "of another commit"})
    assert [finding.reason.value for stage in left.stages for finding in stage.findings] == [
        "output-other",
        "dependency-other",
    ]
    assert (left.stale, next_step(left)) == (False, "dvc pull")
    edited = status_of({**definition, "o": "edited"})
    assert reasons(edited)[0] == "output-changed"
    assert (edited.stale, next_step(edited)) == (True, "dvc repro")
    added = "outs: [{path: a, hash: md5, md5: other}]\n"
    files = {"dvc.yaml": "stages: {}\n", "a.dvc": added, "a": "of another commit"}
    assert next_step(status_of(files)) == "dvc pull"
    assert next_step(status_of({**files, "a": "edited"})) == "dvc commit a.dvc"


def test_a_link_that_a_checkout_made_a_file_is_noted() -> None:
    """As on a machine without symbolic links."""
    lock = "schema: '2.0'\nstages: {s: {cmd: x, deps: [{path: link.csv, hash: md5, md5: other}]}}\n"
    state = status_of({"dvc.yaml": "stages: {s: {cmd: x, deps: [link.csv]}}\n", "dvc.lock": lock, "link.csv": "to.csv"})
    assert "a symbolic link in git, a plain file here" in state.notes[0]


def test_an_entry_that_the_last_commit_had_is_gone() -> None:
    status = status_of(
        {"dvc.yaml": "stages: {s: {cmd: x, outs: [o]}}\n", "ignored/dvc.yaml": "broken"},
        head={"dvc.lock": "schema: '2.0'\nstages: {s: {cmd: x}}\n"},
    )
    assert [finding.reason for finding in status.stages[0].findings] == [StaleReason.LOCK_ENTRY_GONE]


def test_files_that_changed_inside_a_folder_are_named() -> None:
    lock = "schema: '2.0'\nstages: {s: {cmd: x, deps: [{path: lib, hash: md5, md5: other.dir}]}}\n"
    texts = {"dvc.yaml": "stages: {s: {cmd: x, deps: [lib]}}\n", "dvc.lock": lock, "lib": ""}
    status = status_of(texts, changed=[f"lib/{name}.py" for name in "abcde"])
    assert phrase(status.stages[0].findings[0]) == "lib changed (a.py, b.py, c.py and 2 more)"


def test_without_a_definition_there_is_nothing_to_tell() -> None:
    with pytest.raises(RepositoryError, match="no dvc"):
        status_of({"params.yaml": ""})


@pytest.mark.parametrize("file", ["dvc.yaml", "dvc.lock", "params.yaml"])
def test_an_unresolved_merge_is_named(file: str) -> None:
    files = {"dvc.yaml": "stages: {s: {cmd: x}}\n", "dvc.lock": "schema: '2.0'\n", "params.yaml": "a: 1\n"}
    files[file] += "<<<<<<< ours\na: 1\n=======\na: 2\n>>>>>>> theirs\n"
    with pytest.raises(SettingsError, match="unresolved merge in " + file.replace(".", "[.]")):
        status_of(files)


@pytest.mark.parametrize(
    ("lock", "kind"),
    [
        ("stages: {}\n", RepositoryError),
        ("schema: '2.0'\nstages: {s: {cmd: x, deps: [{path: a, hash: sha256, md5: abc}]}}\n", DefinitionError),
        ("schema: '2.0'\nstages: {s: {cmd: x, deps: [{path: a, etag: abc}]}}\n", DefinitionError),
    ],
)
def test_locks_of_another_kind_are_refused(lock: str, kind: type[LeverframeError]) -> None:
    with pytest.raises(kind):
        status_of({"dvc.yaml": "stages: {s: {cmd: x, deps: [a]}}\n", "dvc.lock": lock, "a": ""})


def test_entries_without_a_stage_are_noted() -> None:
    lock = "schema: '2.0'\nstages: {old: {cmd: x}}\n"
    status = status_of({"dvc.yaml": "stages: {s: {cmd: x, outs: [o]}}\n", "dvc.lock": lock})
    assert "old" in status.notes[0]
    assert status.stages[0].findings[0].reason is StaleReason.STAGE_NEW


def sample() -> PipelineStatus:
    """Return a pipeline with every state, and groups that fall into lines."""
    months = [f"2013-{month:02d}" for month in range(1, 5)]

    def ingest(month: str) -> Stage:
        return Stage(f"ingest@{month}", "dvc.yaml", "x", "ingest", month)

    def build(month: str) -> Stage:
        return Stage(f"build@{month}", "dvc.yaml", "x", "build", month)

    code = Finding(StaleReason.DEPENDENCY_CHANGED, "src/star.py", "9 bytes", "12 bytes")
    rows = [StageStatus.of(ingest(month), []) for month in months[:3]]
    rows.append(StageStatus.of(ingest(months[3]), [Finding(StaleReason.STAGE_NEW, "ingest@2013-04")]))
    rows += [StageStatus.of(build(month), [code]) for month in months]
    train = Stage("train", "dvc.yaml", "x")
    rate = Finding(StaleReason.PARAMETER_CHANGED, "train.rate", "0.1", "0.2")
    command = Finding(StaleReason.COMMAND_CHANGED, "cmd", "run --rate 0.1", "run --rate 0.2")
    rows.append(StageStatus.of(train, [command, rate]))
    above = ["train", *(f"build@{month}" for month in months)]
    rows.append(StageStatus.of(Stage("judge", "dvc.yaml", "x"), []).below(dict.fromkeys(above, "")))
    rows.append(StageStatus.of(Stage("old", "dvc.yaml", "x"), [Finding(StaleReason.OUTPUT_ABSENT, "old.bin")]))
    pairs = [(f"ingest@{month}", f"build@{month}") for month in months]
    pairs += [(f"build@{month}", "train") for month in months] + [("train", "judge")]
    return PipelineStatus(tuple(rows), tuple(pairs), ("dvc.lock has entries of stages that dvc.yaml no longer has: x",))


def test_a_parameter_that_holds_the_key_of_a_partition_keeps_its_value() -> None:
    """Paths of a group are told with a star for the key; a value is what somebody wrote, and stays as it is."""
    rate = Finding(StaleReason.PARAMETER_CHANGED, "data.last", "2013-01", "2013-02")
    stages = [Stage(f"ingest@{key}", "dvc.yaml", "x", "ingest", key) for key in ("2013-01", "2013-02")]
    text = table(PipelineStatus(tuple(StageStatus.of(stage, [rate]) for stage in stages)))
    assert "data.last: 2013-01 -> 2013-02" in text
    assert "ingest@2013-01 .. 2013-02 (2)" in text  # the same finding, so one line


@pytest.mark.parametrize(("name", "render"), [("table.txt", table), ("graph.mmd", mermaid)])
def test_whole_outputs(name: str, render: Any) -> None:
    assert render(sample()) + "\n" == (GOLDEN / name).read_text()


def test_the_document_has_every_finding() -> None:
    content = document(sample())
    assert content["counts"] == {"fresh": 3, "missing": 1, "downstream": 1, "changed": 5, "new": 1}
    assert content["stale"]
    assert {stage["state"] for stage in content["stages"]} == {state.value for state in State}


def test_a_pattern_selects_stages_and_groups() -> None:
    assert len(selected(sample(), "build").stages) == 4
    assert [stage.stage.name for stage in selected(sample(), "*@2013-02").stages] == ["ingest@2013-02", "build@2013-02"]
    with pytest.raises(DefinitionError, match="bild"):
        selected(sample(), "bild")


@pytest.mark.parametrize(
    ("finding", "step"),
    [
        (None, "nothing to do"),
        (Finding(StaleReason.PARAMETER_CHANGED, "a"), "dvc repro"),
        (Finding(StaleReason.PARAMETER_MISSING, "a"), "add `a` to the parameter file, or remove it from dvc.yaml"),
        (Finding(StaleReason.DEPENDENCY_MISSING, "a"), "restore a, or remove it from dvc.yaml"),
        (Finding(StaleReason.OUTPUT_ABSENT, "a"), "dvc pull"),
        (Finding(StaleReason.OUTPUT_ABSENT, "a", detail="in the cache"), "dvc checkout"),
        (Finding(StaleReason.OUTPUT_ABSENT, "a", detail="in git"), "git checkout -- a"),
        (Finding(StaleReason.OUTPUT_NOT_CACHED, "a"), "dvc commit"),
        (Finding(StaleReason.OUTPUT_OTHER, "a"), "dvc pull"),
        (Finding(StaleReason.OUTPUT_OTHER, "a", detail="in the cache"), "dvc checkout"),
    ],
)
def test_what_to_do_next(finding: Finding | None, step: str) -> None:
    one = StageStatus.of(Stage("s", "dvc.yaml", "x"), [finding] if finding else [])
    assert next_step(PipelineStatus((one,))) == step


def test_data_somebody_added_are_committed() -> None:
    source = StageStatus.of(Stage("a.dvc", "a.dvc"), [Finding(StaleReason.OUTPUT_CHANGED, "a")])
    assert next_step(PipelineStatus((source,))) == "dvc commit a.dvc"


def test_every_reason_has_words() -> None:
    assert all(phrase(Finding(reason, "subject")) for reason in StaleReason)


def test_metrics_and_plots_are_found_wherever_a_definition_names_them() -> None:
    content = {
        "vars": [{"where": "eval"}],
        "stages": {
            "train": {"cmd": "x", "outs": ["m"], "metrics": [{"${where}/train.json": {"cache": False}}]},
            "each": {"foreach": ["a", "b"], "do": {"cmd": "x", "metrics": ["${item}.json"], "plots": ["${item}.csv"]}},
        },
        "metrics": ["${where}/all.json", "eval/train.json"],
        "plots": [{"a.csv": {"x": "step"}}, "pictures"],
    }
    definition = Definition("sub/dvc.yaml", content, lambda _: None, FlagStyle())
    kinds = {output.path: output.kind for stage in definition.stages() for output in stage.outputs}
    assert kinds == {"sub/m": "output", "sub/eval/train.json": "metrics", "sub/a.json": "metrics",
                     "sub/b.json": "metrics", "sub/a.csv": "plots", "sub/b.csv": "plots"}  # fmt: skip
    assert [view.path for view in definition.views("metrics")] == ["sub/eval/all.json", "sub/eval/train.json"]
    assert [(view.path, view.shown) for view in definition.views("plots")] == [
        ("sub/a.csv", {"x": "step"}),
        ("sub/pictures", {}),
    ]


def test_addresses_and_absolute_paths_are_said_and_the_rest_is_compared() -> None:
    """Nobody can tell without a network whether they changed, and nobody guesses."""
    text = "stages: {s: {cmd: x, deps: [a, 's3://bucket/a', /data/a], outs: [b, {'gs://b/c': {cache: false}}]}}"
    (stage,) = stages(text)
    assert stage.elsewhere == ("s3://bucket/a", "/data/a", "gs://b/c")
    assert [artefact.path for artefact in (*stage.dependencies, *stage.outputs)] == ["a", "b"]
    status = status_of({"dvc.yaml": text})
    assert "s names s3://bucket/a, which is no file of the repository: nobody compared it" in status.notes


def test_parameters_of_python_are_its_literals() -> None:
    """Of classes as well, and of what their `__init__` gives to `self`; nothing is run, and what is left is said."""
    text = (
        "import os\nRATE = 0.1\nNAMES: list = ['a', 'b']\nSEED = int(os.environ['SEED'])\na = b = 1\n"
        "class Train:\n    depth = 3\n    size = 2 * 8\n"
        "    def __init__(self):\n        self.warm = True\n        local = 1\n"
    )
    assert parsed(text, "params.py") == {"RATE": 0.1, "NAMES": ["a", "b"], "Train": {"depth": 3, "warm": True}}
    definition = (
        "stages: {s: {cmd: x, params: [params.py: [RATE, Train.size]]}, t: {cmd: y, params: [params.py: [RATE]]}}"
    )
    status = status_of({"dvc.yaml": definition, "params.py": text})
    assert status.notes == (
        "params.py, line 8: `Train.size` is an expression; neither DVC nor Leverframe runs the file to know it",
    )


def test_entries_of_several_locks_have_paths_from_the_root() -> None:
    """Whatever folder a stage works in, which no lock says; an entry whose stage is gone has none."""
    one = Stage("m/dvc.yaml:train", "m/dvc.yaml", "x", folder="data")
    text = (
        "schema: '2.0'\nstages:\n  train:\n    cmd: x\n    deps:\n    - {path: a.csv, hash: md5, md5: a}\n"
        "    params:\n      ../p.yaml: {k: 1}\n    outs:\n    - {path: ../m/w.json, hash: md5, md5: b}\n"
        "  gone: {cmd: y}\n"
    )
    entries = locked_here([one, Stage("data.dvc", "data.dvc")], {"m/dvc.lock": text}.get)
    assert entries == {
        "m/dvc.yaml:train": Locked(
            "x", {"data/a.csv": Recorded("a")}, {"p.yaml": {"k": 1}}, {"m/w.json": Recorded("b")}
        )
    }


def test_an_entry_of_dvc_2_names_no_hash() -> None:
    """Its digest is of another kind, so that nobody takes one for the other."""
    text = "schema: '2.0'\nstages: {s: {cmd: x, deps: [{path: a, md5: b}, {path: c, hash: md5, md5: b}]}}\n"
    dependencies = entries(text, "dvc.lock")["s"].dependencies
    assert dependencies == {"a": Recorded("b", legacy=True), "c": Recorded("b")}
    assert dependencies["a"] != dependencies["c"]


@pytest.mark.parametrize(
    "value", ["9" * 5000, "0x" + "f" * 5000, "0x_", "2020-13-45", "2020-01-01T25:00:00Z", "0000-00-00"]
)
def test_a_value_that_cannot_be_is_an_error_of_its_line(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(f"a: 1\nb: {value}\n", name="x.yaml", what="settings")
    assert "line 2" in caught.value.what
