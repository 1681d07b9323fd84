"""What the judge makes of paths, settings, pointers and claims, without git."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.pipeline.status.resolved import Locked, Recorded
from leverframe.domain.review.judge.data_pointers import Pointer, listed, pointer
from leverframe.domain.review.judge.judged_paths import ProjectPaths, Sorted, sorted_paths
from leverframe.domain.review.judge.lock_claims import ClaimRules, Claims, compared
from leverframe.domain.review.judge.plain_settings import beyond_values
from leverframe.domain.review.judge.tree_change import FILE, NONE, TreeChange
from leverframe.domain.review.same_outputs import SameModel, State, drawn_alike

PATHS = ProjectPaths(
    settings=("params.yaml", "own.yaml"),
    star="pipelines/shop/star.yaml",
    outputs=("reports/metrics.json", "reports/plots"),
    read=("pipelines/shop/model.py", "docs/read.md"),
)
PARAMS = """\
data: {case: pipelines.shop, first: "2024-01", last: "2024-05", timezone: Europe/Paris}
features: {label: late, select: ["*"]}
train: {estimator: "pipelines.shop.model:estimator", params: {iterations: 5}, trusted_types: []}
own: {rate: 1}
"""


def sort(path: str, before: str | None = "a: 1\n", after: str | None = "a: 2\n", modes: Any = (FILE, FILE)) -> Sorted:
    """Return what becomes of one path; None stands for no file on that side."""
    sides = {"old": before, "new": after}
    change = TreeChange(
        path,
        modes[0] if before is not None else NONE,
        modes[1] if after is not None else NONE,
        "old" if before is not None else "0",
        "new" if after is not None else "0",
    )
    contents = {name: text.encode() for name, text in sides.items() if text is not None}
    return sorted_paths([change], PATHS, contents)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("dvc.lock", "claims"),
        ("reports/metrics.json", "claims"),
        ("reports/plots/roc.csv", "claims"),
        ("dvc.yaml", "derived"),
        ("raw/orders-2024-06.csv", "inputs"),
        ("pipelines/shop/star.yaml", "inputs"),
        ("own.yaml", "inputs"),
        ("README.md", "idle"),
        ("docs/a/page.md", "idle"),
    ],
)
def test_what_the_judge_knows(path: str, kind: str) -> None:
    """Data, settings and declarations are run with, outputs compared, texts left aside."""
    sorting = sort(path)
    assert [change.path for change in getattr(sorting, kind)] == [path]
    assert not sorting.owed


@pytest.mark.parametrize(
    "path",
    [
        "pipelines/shop/model.py", ".github/workflows/pull-request.yml", ".github/README.md", "actions/gate/action.yml",
        ".dvc/config", ".gitattributes", "docs/CODEOWNERS", "requirements.lock", "pyproject.toml", "Params.yaml",
        "pipelines/shop/Star.yaml", "sitecustomize.py", "docs/read.md", "conftest.py", "raw/mod\u0435l.csv", "a b.md",
        "models/model.pkl", "other.yaml", "Makefile", "x.sh", "dvc.lock.orig", "data/x.json", ".gitmodules",
    ],
)  # fmt: skip
def test_what_an_owner_has_to_approve(path: str) -> None:
    """Code, whatever rules the repository, and whatever nobody knows."""
    assert [*sort(path).owed] == [path]
    assert [*sort(path, None).owed] == [path]
    assert [*sort(path, after=None).owed] == [path]


@pytest.mark.parametrize(
    "modes", [(FILE, "120000"), ("120000", FILE), (FILE, "160000"), (FILE, "100755"), (FILE, "040000")]
)
@pytest.mark.parametrize("path", ["README.md", "params.yaml", "raw/a.csv", "dvc.lock", "reports/metrics.json"])
def test_links_submodules_and_programs_are_for_an_owner(path: str, modes: tuple[str, str]) -> None:
    """Whatever their names are."""
    assert [*sort(path, modes=modes).owed] == [path]


def test_a_file_that_becomes_a_folder_is_for_an_owner() -> None:
    """And what is in that folder is not put in its place."""
    gone, new = TreeChange("raw", FILE, NONE, "old", "0"), TreeChange("raw/a.csv", NONE, FILE, "0", "new")
    assert "raw" in sorted_paths([gone, new], PATHS, {}).owed


@given(st.text(min_size=1, max_size=30))
def test_no_name_is_run_with_unless_it_is_known(name: str) -> None:
    """Any name at all is settings, declarations, a table or a pointer, or it is no input."""
    sorting = sort(name)
    known = {*PATHS.settings, PATHS.star, "leverframe.yaml"}
    assert all(
        change.path in known
        or change.path.endswith((".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".csv.gz", ".dvc"))
        for change in sorting.inputs
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("iterations: 5", "iterations: 900"),
        ("iterations: 5", "iterations: 5, loss: log_loss"),
        ("iterations: 5", "depths: [1, 2]"),
        ('"2024-05"', '"2024-06"'),
        ("Europe/Paris", "America/New_York"),
        ("label: late", "label: delay"),
        ('["*"]', '["price_*", age]'),
        ("rate: 1", "rate: 2.5"),
        ("rate: 1", "rate: 1, since: 2024-05"),
    ],
)
def test_plain_values_may_change(old: str, new: str) -> None:
    """Numbers, words, partitions, columns and zones."""
    assert beyond_values("params.yaml", PARAMS.encode(), PARAMS.replace(old, new).encode()) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pipelines.shop,", "pipelines.other,"),
        ("case: pipelines.shop", "case: pipelines.shop, dependencies: [x]"),
        ("model:estimator", "model:other"),
        ("trusted_types: []", "trusted_types: [os.system]"),
        ("iterations: 5", "iterations: 5, memory: /srv/cache"),
        ("iterations: 5", "iterations: 5, hook: os.system"),
        ("iterations: 5", "iterations: {a: [{b: 1}]}"),
        ("rate: 1", "rate: '1; curl x'"),
        ("rate: 1", "rate: word"),
        ("label: late", "label: late, spark: {master: spark://x}"),
        ("rate: 1", "rate: &a 1"),
        ("rate: 1", "rate: !!python/name:os.system 1"),
        ("rate: 1", "rate: 1, rate: 2"),
        ("rate: 1", "rate: 1\u2028"),
        ("rate: 1", "rate: 1\t"),
        ("own:", "---\nown:"),
        ("own:", "own: <<: 1"),
        ("data:", "\ufeffdata:"),
        ("rate: 1", "rate: " + "[" * 5000),
        ("rate: 1}", "rate: 1}\nmore:\n" + "- " * 5000),
    ],
)
def test_what_runs_code_or_reads_elsewhere_may_not(old: str, new: str) -> None:
    """Import paths, paths, addresses, commands, and YAML that another reader may read otherwise."""
    assert beyond_values("params.yaml", PARAMS.encode(), PARAMS.replace(old, new).encode())


def test_rules_and_environments_are_for_owners() -> None:
    """Of leverframe.yaml plain numbers outside of rules may change."""
    base = b"gate: {confidence: 0.95}\nreport: {slices: 8}\ndeploy: {keep: 2}\n"
    assert beyond_values("leverframe.yaml", base, base.replace(b"8", b"9")) == ""
    assert beyond_values("leverframe.yaml", base, base.replace(b"0.95", b"0.5"))
    assert beyond_values("leverframe.yaml", base, base.replace(b"keep: 2", b"keep: 3"))
    assert beyond_values("leverframe.yaml", base, base + b"judge: {minutes: 300}\n")
    assert beyond_values("leverframe.yaml", None, base)


POINTER = "outs:\n- md5: 0123456789abcdef0123456789abcdef\n  size: 3\n  hash: md5\n  path: a.csv\n"


def test_a_pointer_names_known_data() -> None:
    """Its digest may change, nothing else."""
    assert pointer("raw/a.csv.dvc", POINTER.encode()) == Pointer("raw/a.csv", "0123456789abcdef0123456789abcdef")
    for old, new in (
        ("path: a.csv", "path: ../x.csv"), ("path: a.csv", "path: model.py"), ("hash: md5", "hash: etag"),
        ("outs:", "deps:\n- path: s3://x/a.csv\nouts:"), ("outs:", "cmd: curl x\nouts:"), ("outs:", "wdir: ..\nouts:"),
        ("  size: 3", "  remote: other"), ("0123456789abcdef0123456789abcdef", "../../../../etc/passwd"),
        ("outs:", "outs: &a"), ("outs:", "frozen: true\nouts:"),
    ):  # fmt: skip
        assert isinstance(pointer("raw/a.csv.dvc", POINTER.replace(old, new, 1).encode()), str), new
    assert isinstance(pointer("model.pkl.dvc", POINTER.replace("a.csv", "model.pkl").encode()), str)


@pytest.mark.parametrize("path", ["../a.csv", "/a.csv", "a/../b.csv", "model.py", "a.pkl", "x/conftest"])
def test_a_listing_names_data_within_its_folder(path: str) -> None:
    """No path of a folder leads out of it, and none is code."""
    good = b'[{"md5": "0123456789abcdef0123456789abcdef", "relpath": "a/b.csv"}]'
    assert listed(good) == {"a/b.csv": "0123456789abcdef0123456789abcdef"}
    assert isinstance(listed(good.replace(b"a/b.csv", path.encode())), str)


def locked(command: str, outputs: dict[str, str], read: dict[str, str] | None = None, **params: Any) -> Locked:
    """Return the entry of a stage."""
    return Locked(
        command,
        {path: Recorded(digest) for path, digest in (read or {}).items()},
        {"params.yaml": params},
        {path: Recorded(digest) for path, digest in outputs.items()},
    )


MADE = State(
    {
        "build": locked("b", {"table.parquet": "t"}, {"raw.csv": "r"}, rate=1),
        "train": locked("t", {"models/model.skops": "m"}, {"table.parquet": "t", "model.py": "c"}),
        "evaluate": locked("e", {"reports/metrics.json": "x"}, {"models/model.skops": "m"}),
    },
    {"reports/metrics.json": '{"auc": 0.81}'},
)


class Told(NamedTuple):
    """What a comparison of tables and models tells."""

    table: bool | None = None
    model: SameModel | None = None

    def same_table(self, _path: str, _claimed: Recorded, _tolerance: float) -> bool | None:
        """Return what was told."""
        return self.table

    def same_model(self, _path: str, _claimed: Recorded, _tolerance: float) -> SameModel | None:
        """Return what was told."""
        return self.model


def claims(claimed: State, *owed: str, same: bool | None = None, alike: bool = False) -> Claims:
    """Return what is found of claims against the run."""
    return compared(claimed, MADE, ClaimRules(1e-4, owed, Told(same, SameModel(9, 0, 0.0) if alike else None)))


def reasons(verdict: Claims) -> list[str]:
    """Return the reasons."""
    return [violation.reason.value for violation in verdict.violations]


def other(stage: str, **changed: Any) -> State:
    """Return the claims with another entry of one stage."""
    return State({**MADE.lock, stage: replace(MADE.lock[stage], **changed)}, MADE.texts)


def test_what_was_run_is_verified() -> None:
    """The same lock and the same files."""
    assert claims(MADE) == Claims()


@given(st.sampled_from([(stage, path) for stage, entry in MADE.lock.items() for path in entry.outputs]))
def test_any_other_digest_is_found(which: tuple[str, str]) -> None:
    """Whatever output it is."""
    stage, path = which
    verdict = claims(other(stage, outputs={path: Recorded("forged")}))
    assert verdict.violations
    assert path in verdict.violations[0].what


def test_figures_name_both_sides() -> None:
    """What the judge computed, and what was claimed."""
    verdict = claims(replace(MADE, texts={"reports/metrics.json": '{"auc": 0.99}'}))
    assert reasons(verdict) == ["metrics-forged"]
    assert "`auc` is 0.81, not 0.99" in verdict.violations[0].what
    assert claims(replace(MADE, texts={"reports/metrics.json": '{"auc": 0.810001}'})).violations == ()
    assert reasons(claims(replace(MADE, texts={}))) == ["metrics-forged"]
    extra = replace(MADE, texts={**MADE.texts, "reports/metrics.json/x": "1"})
    assert reasons(claims(extra)) == ["lock-mismatch"]


def test_other_inputs_are_a_stale_lock() -> None:
    """A parameter, a command, a source or a missing entry; a stage that does not exist as well."""
    assert reasons(claims(other("build", parameters={"params.yaml": {"rate": 2}}))) == ["lock-stale"]
    assert reasons(claims(other("train", command="echo"))) == ["lock-stale"]
    assert reasons(claims(other("build", dependencies={"raw.csv": Recorded("o")}))) == ["lock-stale"]
    assert reasons(claims(State({k: v for k, v in MADE.lock.items() if k != "train"}, MADE.texts))) == ["lock-stale"]
    more = State({**MADE.lock, "evil": locked("x", {})}, MADE.texts)
    assert reasons(claims(more)) == ["lock-stale"]


def test_a_model_of_other_bytes_passes_where_it_predicts_the_same() -> None:
    """Another processor makes other bytes; what says the same is a note."""
    claimed = other("train", outputs={"models/model.skops": Recorded("other")})
    assert reasons(claims(claimed)) == ["lock-mismatch"]
    verdict = claims(claimed, alike=True)
    assert reasons(verdict) == []
    assert "predictions agree" in verdict.notes[0]
    table = other("build", outputs={"table.parquet": Recorded("other")})
    assert reasons(claims(table, same=False, alike=True)) == ["lock-mismatch"]
    assert reasons(claims(table, same=True)) == []


def test_stages_behind_code_of_the_change_are_excused_and_named() -> None:
    """What they wrote nobody can judge; what was before them is held to the run."""
    claimed = other("train", outputs={"models/model.skops": Recorded("other")})
    verdict = claims(claimed, "model.py")
    assert (reasons(verdict), verdict.excused) == ([], ("train", "evaluate"))
    assert "`train`, `evaluate`" in verdict.notes[-1]
    both = State({**claimed.lock, "build": other("build", outputs={"table.parquet": Recorded("f")}).lock["build"]}, {})
    assert reasons(claims(both, "model.py")) == ["lock-mismatch"]
    assert claims(claimed, "README.md").excused == ()


def test_training_that_is_random_is_held_to_the_declared_figures() -> None:
    """Within them it is a note and the claimed model is scored; beyond them, or without any, it is a violation."""
    claimed = State(other("train", outputs={"models/model.skops": Recorded("other")}).lock, {
        "reports/metrics.json": '{"auc": 0.82}'
    })  # fmt: skip
    terms = ClaimRules(1e-4, (), Told(), unstable=("train",), declared={"auc": 0.02})
    verdict = compared(claimed, MADE, terms)
    assert (reasons(verdict), verdict.excused) == ([], ("train", "evaluate"))
    assert "within `reproduce.tolerance`" in verdict.notes[0]
    assert reasons(compared(claimed, MADE, replace(terms, declared={"auc": 0.001}))) == ["not-deterministic"]
    assert reasons(compared(claimed, MADE, replace(terms, declared={}))) == ["not-deterministic"]
    table = State({**claimed.lock, "build": other("build", outputs={"table.parquet": Recorded("f")}).lock["build"]}, {})
    assert "lock-mismatch" in reasons(compared(table, MADE, terms))


SHADOWED = """
train:
  estimator: "subprocess:Popen"
  params: {args: id, shell: true}
"train.estimator": "pipelines.shop.model:estimator"
"train.params.iterations": 5
"""


@pytest.mark.parametrize(
    "more",
    [
        SHADOWED,
        '"train.estimator": 5\n',
        "? [a, b]\n: 1\n",
        "5: 1\n",
        "true: 1\n",
        "own: {null: 2}\n",
        '"": 1\n',
        "a.b: 1\n",
    ],
)
def test_a_key_that_may_be_taken_for_another_is_for_an_owner(more: str) -> None:
    """A dot inside of a key is no step down: a stage reads the nested one."""
    base = "train: {estimator: 'pipelines.shop.model:estimator', params: {iterations: 5}}\n"
    after = more.lstrip() if "train:" in more else base + more
    assert beyond_values("params.yaml", base.encode(), after.encode())


@given(st.lists(st.sampled_from(["train", "estimator", "params", "a.b", "train.estimator"]), min_size=1, max_size=3))
def test_no_other_key_hides_an_estimator(path: list[str]) -> None:
    """Wherever a text stands that may be an import path, an owner looks, whatever else the file holds."""
    base = {"train": {"estimator": "a.b:c", "params": {"iterations": 5}}}
    changed: dict[str, Any] = {"train": {"estimator": "subprocess:Popen", "params": {"iterations": 5}}}
    place: Any = changed
    for key in path[:-1]:
        place = place.setdefault(key, {}) if isinstance(place.setdefault(key, {}), dict) else changed
    place.setdefault(path[-1], "a.b:c")
    assert beyond_values("params.yaml", json.dumps(base).encode(), json.dumps(changed).encode())


@pytest.mark.parametrize("section", ["monitor", "alerts", "retrain", "online", "serve", "deploy", "infra", "unknown"])
def test_a_setting_of_what_runs_after_the_merge_is_for_owners(section: str) -> None:
    """A number there may switch a watch off as well as a rule of the gate."""
    base = f"report: {{slices: 8}}\n{section}: {{every_hours: 24}}\n".encode()
    assert beyond_values("leverframe.yaml", base, base.replace(b"24", b"700"))


def test_a_link_among_outputs_stays_with_owners() -> None:
    """Also where a stage writes its folder."""
    sorting = sorted_paths([TreeChange("reports/plots/x.csv", "000000", "120000", NONE, "b" * 40)], PATHS, {})
    assert sorting.odd == {"reports/plots/x.csv"}
    assert sorting.odd <= sorting.owed.keys()


def test_a_lock_has_no_say_in_what_its_stages_read() -> None:
    """A dependency that only the lock of the change names excuses nothing."""
    read = {**MADE.lock["evaluate"].dependencies, "requirements.lock": Recorded("e" * 32)}
    verdict = claims(other("evaluate", dependencies=read), "requirements.lock")
    assert (verdict.excused, reasons(verdict)) == ((), ["lock-stale"])


def test_a_model_that_predicts_the_same_excuses_nothing_that_nobody_can_read() -> None:
    """Neither what lies before it, nor a bundle or a table behind it, nor a drawing of other figures."""
    model = {"models/model.skops": Recorded("zipped anew")}
    same = {**MADE.lock, "train": replace(MADE.lock["train"], outputs=model)}
    same["evaluate"] = replace(same["evaluate"], dependencies=model)
    assert claims(replace(MADE, lock=same), alike=True).violations == ()
    before = {**same, "build": replace(same["build"], outputs={"table.parquet": Recorded("nowhere")})}
    assert reasons(claims(replace(MADE, lock=before), alike=True)) == ["lock-mismatch"]


@pytest.mark.parametrize(
    ("claimed", "made", "same"),
    [("<text>0.893</text>", "<text>0.894</text>", True), ("<text>1.0</text>", "<text>0.893</text>", False),
     ('<path d="M10.2 350.1"/>', '<path d="M10.2 351.3"/>', True), ("<a/>", "<b/>", False)],
)  # fmt: skip
def test_a_drawing_may_differ_where_no_reader_sees_it(claimed: str, made: str, same: bool) -> None:
    """A figure in words, and another form, are told."""
    assert drawn_alike(claimed, made) is same


def test_metrics_without_end_are_no_figures() -> None:
    """A text that no reader comes to the end of is another one than the run wrote, and no error of ours."""
    deep = '{"auc":' * 100_000
    assert reasons(claims(replace(MADE, texts={"reports/metrics.json": deep}))) == ["metrics-forged"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("requirements.lock", "owed"), ("Makefile", "owed"), (".ci/run", "owed"), (".gitlab-ci.yml", "owed"),
        ("sitecustomize.py", "owed"), ("README.md", "idle"), ("other/train.py", "idle"), ("docs/page.md", "idle"),
    ],
)  # fmt: skip
def test_what_rules_all_projects_is_for_an_owner(path: str, kind: str) -> None:
    """Of a project in a folder: a file at the top and a folder of a tool may install or run it, another project not."""
    sorting = sorted_paths([TreeChange(path, FILE, FILE, "old", "new")], replace(PATHS, folder="ml/"), {})
    assert (kind == "owed") == (path in sorting.owed)
