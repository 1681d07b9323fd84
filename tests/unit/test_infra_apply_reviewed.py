"""Where the plan comes from that an apply is held to, over a history of git and a forge in memory."""

from __future__ import annotations

import shutil
import signal
import tempfile
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from leverframe.adapters.git import Git
from leverframe.adapters.terraform.terraform_folder import private_folder
from leverframe.application.infra_apply import ApplyRecorder, subject_of
from leverframe.application.infra_place import Channels, InfraPlace, Role
from leverframe.application.infra_plans import judged_again
from leverframe.application.infra_results import APPLIED, PLAN, keep
from leverframe.application.infra_reviewed import ReviewedApply, held_to
from leverframe.application.workspace import Workspace
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_executor import InfraExecutor, InfraServices
from leverframe.domain.infrastructure.infra_forge import LastApply, ReviewedPull
from leverframe.domain.infrastructure.infra_plan import ChangeKind, InfraPlan
from leverframe.domain.infrastructure.infra_ports import SavedPlan
from leverframe.domain.verdict import Failed, Reason, Violation
from leverframe.errors import InfraError, SettingsError
from leverframe.local.repository import TemporaryRepository
from leverframe.settings.levers import read_levers
from leverframe.settings.params import read_params
from tests.fakes.infra import MemoryForge, change, plan, planned_at

CREATE = ChangeKind.CREATE
SETTINGS = "infra: {environments: {production: {root: '.', protected: [a.x]}}}\n"


@dataclass
class History:
    """A repository with one commit a merge, and the forge."""

    repository: TemporaryRepository
    forge: MemoryForge = field(default_factory=MemoryForge)
    commits: list[str] = field(default_factory=list)

    def commit(self) -> str:
        """Add a commit."""
        self.commits.append(self.repository.commit(f"Commit {len(self.commits)}"))
        return self.commits[-1]

    def merge(self, made: InfraPlan | None, base: str = "", *labels: str) -> ReviewedPull:
        """Merge a pull request with a plan made at a base, by default at the first commit."""
        number = len(self.forge.pulls) + 1
        planned = planned_at(made, base=base or self.commits[0]) if made else None
        why = "" if made else "its plan could not be made"
        pull = ReviewedPull(number, "", "a" * 40, self.commit(), tuple(labels), planned, why)
        self.forge.pulls[pull.merged] = pull
        return pull

    @property
    def place(self) -> InfraPlace:
        """The environment at the commit that is checked out."""
        root = self.repository.root
        workspace = Workspace(
            root, Git(root), lambda: read_params(root / "params.yaml"),
            lambda: read_levers(root / "leverframe.yaml"), lambda _: pytest.fail("nobody asks for the star"),
        )  # fmt: skip
        return InfraPlace.of(workspace, None)

    def held(self, digest: str = "") -> ReviewedApply:
        """Return what an apply of the newest commit is held to."""
        return held_to(self.place, self.forge, digest)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    repository = TemporaryRepository.create(folder, dvc=False)
    repository.write("leverframe.yaml", SETTINGS)
    repository.write("main.tf", "")
    repository.write(".gitignore", ".leverframe\n")
    repository.commit("Start")
    return folder


@pytest.fixture
def history(made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    shutil.copytree(made_once, tmp_path / "copy")
    repository = TemporaryRepository(tmp_path / "copy/repository", tmp_path / "copy/home")
    for name, value in repository.environment.items():
        monkeypatch.setenv(name, value)
    return History(repository, commits=[repository.git("rev-parse", "HEAD").strip()])


def created(name: str, value: str = "1") -> InfraPlan:
    """Return the plan that creates one resource."""
    return plan(change(name, CREATE, "", value))


def test_the_pull_requests_since_the_last_apply_count(history: History) -> None:
    """All of them, in the order of their merges; those before are asked about no more."""
    first, second = history.merge(created("a.x")), history.merge(created("a.y"))
    history.forge.applied = LastApply(history.commits[0])
    held = history.held()
    assert held.reviewed.plans == (created("a.x"), created("a.y"))
    assert held.reviewed.source == "pull request #1 and #2"
    assert (held.pulls, held.before) == ((first, second), history.commits[0])
    assert history.forge.asked == [(first.merged, second.merged)]
    history.forge.applied = LastApply(first.merged)
    assert history.held().reviewed.plans == (created("a.y"),)
    history.forge.applied = LastApply(second.merged)
    nothing = history.held()
    assert (nothing.reviewed.plans, history.forge.asked[-1]) == ((), ())
    assert "nothing was merged since" in nothing.reviewed.why


def test_a_first_apply_is_held_to_the_pull_request_of_its_commit(history: History) -> None:
    """Also where the commit that was applied last is not in this clone."""
    history.merge(created("a.x"))
    second = history.merge(created("a.y"))
    for known, step in (("", "merge that"), ("e" * 40, "`fetch-depth: 0`")):
        history.forge.applied = LastApply(known)
        held = history.held()
        assert (held.pulls, step in held.reviewed.again) == ((second,), True)


def test_a_plan_made_after_a_merge_stands_for_both(history: History) -> None:
    """As one that reverts what was merged before it, and was not applied yet."""
    history.forge.applied = LastApply(history.commits[0])
    first = history.merge(created("a.x"))
    history.merge(plan(), first.merged)
    assert history.held().reviewed.plans == (plan(),)
    forged = replace(planned_at(created("a.z")), base="--upload-pack=x")
    third = replace(history.merge(created("a.z")), planned=forged)
    history.forge.pulls[third.merged] = third
    assert history.held().reviewed.plans == (plan(), created("a.z"))


def test_why_nothing_was_reviewed_is_told(history: History) -> None:
    """A push past all pull requests, or a pull request without a plan."""
    history.forge.applied = LastApply(history.commits[0])
    pushed = history.commit()
    assert f"no pull request brought {pushed[:12]}" in history.held().reviewed.why
    history.merge(None)
    assert "#1: its plan could not be made" in history.held().reviewed.why
    assert "merge that" in history.held().reviewed.again


@pytest.mark.parametrize("path", ["main.tf", "leverframe.yaml", "modules/x/main.tf"])
def test_a_commit_past_all_pull_requests_is_not_applied_along(history: History, path: str) -> None:
    """A plan does not tell all that it changes; elsewhere it does not matter."""
    history.repository.write("modules/x/main.tf", "")
    history.repository.write("main.tf", 'module "x" { source = "./modules/x" }')
    history.forge.applied = LastApply(history.commit())
    merged = history.merge(created("a.x"))
    history.repository.write("docs/x.md", "words")
    history.commit()
    assert history.held().reviewed.plans == (created("a.x"),)
    history.repository.write(path, history.repository.read(path) + "# a word\n")
    pushed = history.commit()
    held = history.held()
    assert (held.reviewed.plans, held.pulls) == ((), (merged,))
    assert held.reviewed.why == f"no pull request brought {pushed[:12]}, which changes {path}"


def test_an_apply_that_began_is_known_to_the_next(history: History) -> None:
    """Of the same commit it is resumed, a later one only finds less to do, and an edited one is not the same."""
    history.forge.applied = LastApply(history.commits[0])
    first = history.merge(created("a.x"))
    history.forge.applied = LastApply(history.commits[0], first.merged)
    held = history.held()
    assert (held.reviewed.begun, held.reviewed.resumed) == ((created("a.x"),), True)
    history.repository.write("main.tf", "# edited\n")
    assert not history.held().reviewed.resumed
    history.repository.git("checkout", "--quiet", "main.tf")
    history.merge(created("a.y"))
    later = history.held()
    assert (later.reviewed.begun, later.reviewed.resumed) == ((created("a.x"),), False)
    assert later.reviewed.plans == (created("a.x"), created("a.y"))


def test_a_first_apply_that_began_and_was_killed_is_known_as_well(history: History) -> None:
    """Although nothing was ever applied before it."""
    first = history.merge(created("a.x"))
    second = history.merge(created("a.y"))
    history.forge.applied = LastApply("", first.merged)
    held = history.held()
    assert held.pulls == (first, second)
    assert held.reviewed.begun == (created("a.x"),)


def test_a_digest_is_looked_up_wherever_plans_are_kept(history: History) -> None:
    """In the pull requests, in this folder, on the branch; an unknown one is held to by itself."""
    history.forge.applied = LastApply(history.commits[0])
    history.merge(created("a.x"))
    here, kept, other = created("a.here"), created("a.kept"), created("a.unknown")
    keep(history.place.folder / PLAN, planned_at(here))
    history.forge.documents = [planned_at(kept)]
    for known in (created("a.x"), here, kept):
        held = history.held(known.digest)
        assert (held.reviewed.plans, held.reviewed.digest) == ((known,), known.digest)
        assert len(held.pulls) == 1
    assert history.held(other.digest).reviewed.plans == ()
    for wrong in ("317ff04c", "0" * 63 + "g", "0" * 64 + "\n"):
        with pytest.raises(InfraError, match="is no digest"):
            history.held(wrong)


def test_what_a_machine_knows_is_not_taken_from_a_commit(history: History) -> None:
    """A plan that somebody committed was read by nobody here."""
    place = history.place
    keep(place.folder / PLAN, planned_at(created("a.x")))
    path = str((place.folder / PLAN).relative_to(history.repository.root))
    history.repository.git("add", "-f", path)
    with pytest.raises(SettingsError, match=rf"{path} is committed"):
        _ = history.place


def test_without_a_forge_it_is_the_plan_that_was_made_here(history: History) -> None:
    """Begun and resumed by what the last apply here left; a damaged file is none."""
    place = history.place
    assert held_to(place, None, "").reviewed.plans == ()
    made = planned_at(created("a.x"))
    keep(place.folder / PLAN, made)
    held = held_to(place, None, "")
    assert (held.reviewed.plans, held.reviewed.begun, held.before) == ((created("a.x"),), (), "")
    recorder = ApplyRecorder(place, held, None)
    recorder.begin()
    again = held_to(place, None, "")
    assert (again.reviewed.begun, again.reviewed.resumed) == ((created("a.x"),), True)
    assert held_to(place, None, created("a.x").digest).reviewed.begun == (created("a.x"),)
    done = InfraApplied("production", place.head, "", ".", "default", "", created("a.x"), applied=True)
    assert recorder.end(done) == ()
    after = held_to(place, None, "")
    assert (after.reviewed.plans, after.before) == ((), place.head)
    (place.folder / PLAN).write_text("{", encoding="utf-8")
    (place.folder / APPLIED).write_text("{", encoding="utf-8")
    assert held_to(place, None, "").reviewed.plans == ()


def test_a_success_is_told_where_something_changed_and_a_refusal_to_all(history: History) -> None:
    """Pull requests without infrastructure hear nothing of every apply."""
    history.forge.applied = LastApply(history.commits[0])
    for made in (created("a.x"), plan(), None):
        history.merge(made)
    held = history.held()
    recorder = ApplyRecorder(history.place, held, history.forge)
    applied = InfraApplied("production", history.commits[-1], "", ".", "default", "", plan(), applied=True)
    assert recorder.end(applied) == ("#1",)
    refused = replace(applied, applied=False, violations=(Violation(Reason.PLAN_CHANGED, "x", "y"),))
    assert recorder.end(refused) == ("#1", "#2", "#3")
    assert recorder.end(replace(refused, destroy=True)) == ()
    assert not (history.place.folder / APPLIED).read_text(encoding="utf-8").count("plan-changed")


def test_the_rules_of_what_is_merged_before_are_in_force(history: History) -> None:
    """Of what was applied, and of the commit before: the merge that takes a protection away is held to it."""
    applied = history.commits[0]
    history.repository.write("leverframe.yaml", "infra: {environments: {production: {root: '.'}}}\n")
    removed = history.commit()
    assert subject_of(history.place, applied).rules.patterns == ("a.x",)
    assert subject_of(history.place, "").rules.patterns == ("a.x",)
    history.commit()
    assert subject_of(history.place, removed).rules.patterns == ()


@pytest.mark.parametrize(
    ("text", "patterns", "strict"),
    [
        ("{production: {protected: [a.x], failed_checks: show, of_tomorrow: 1}}", ("a.x",), True),
        ("{production: {protected: a.x, failed_checks: never, allow_label: 7}}", (), True),
        ("{production: }", (), True), ("[production]", (), True), ("{production: [", (), True),
        ("{other: {protected: ['*']}}", ("*",), True),
    ],
)  # fmt: skip
def test_rules_of_a_commit_that_does_not_fit_are_read_as_far_as_they_do(
    history: History, text: str, patterns: tuple[str, ...], strict: bool
) -> None:
    """Whoever fixes the settings is not stopped by them."""
    history.repository.write("leverframe.yaml", f"infra: {{environments: {text}}}\n")
    before = history.commit()
    history.repository.write("leverframe.yaml", "infra: {environments: {production: {root: '.'}}}\n")
    history.commit()
    rules = subject_of(history.place, before).rules
    assert (rules.patterns, rules.refuses_failed_checks) == (patterns, strict)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_only_once_its_secrets_are_removed(
    history: History, number: signal.Signals, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Between two commands of Terraform, too, while a plan is read: it would leave the saved plan by default."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    printed: list[str] = []
    before = signal.signal(number, lambda *_: None)  # so that the test outlives it where nothing heeds it

    def command() -> None:
        with history.place.tool(Role(), Channels(printed.append)) as tool:
            saved = SavedPlan(plan(), str(private_folder() / "plan"))
            with closing(InfraExecutor(tool, InfraServices(), saved=saved)):
                signal.raise_signal(number)

    try:
        with pytest.raises(SystemExit) as ended:
            command()
        assert ended.value.code == 128 + number
        assert [line for line in printed if number.name in line and "run it again" in line]
        assert not list(tmp_path.glob("leverframe-infra-*"))
    finally:
        signal.signal(number, before)


def test_a_state_that_git_would_take_is_told(history: History) -> None:
    """It has secrets in clear; one that is ignored, or below `.leverframe`, is nobody's matter."""
    history.repository.write(".leverframe/infra/production/terraform.tfstate", "{}")
    assert history.place.exposed() == ()
    history.repository.write("terraform.tfstate.d/x/terraform.tfstate.backup", "{}")
    assert "terraform.tfstate.d/x/terraform.tfstate.backup has secrets" in history.place.exposed()[0]
    history.repository.write(".gitignore", ".leverframe\n*.tfstate*\n")
    assert history.place.exposed() == ()


def test_a_card_is_judged_again_by_the_rules_of_the_base(history: History) -> None:
    """Whatever the job left out that ran code of the change."""
    workspace = history.place.workspace
    history.repository.write("leverframe.yaml", "infra: {environments: {production: {root: '.'}}}\n")
    stripped = planned_at(plan(change("a.x", ChangeKind.DELETE, "1")))
    assert stripped.violations == ()
    (judged,) = judged_again(workspace, (stripped,), None, tuple)
    assert judged.verdict == Failed((Reason.DESTROY_PROTECTED,))
    assert judged_again(workspace, (stripped,), None, lambda: ("infra-destroy",)) == (stripped,)
    assert judged_again(workspace, (), "nowhere", tuple) == ()
