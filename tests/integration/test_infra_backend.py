"""How a root module gets at its backend with states beside it: the state at hand is the right one, and none is moved.

Every tool has a folder of its own for what Terraform remembers, as environments have, and as a fresh clone has.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leverframe.adapters.terraform import terraform_backend
from leverframe.adapters.terraform.terraform_backend import RootModule
from leverframe.domain.infrastructure.infra_plan import ChangeKind
from leverframe.domain.infrastructure.infra_ports import InfraTool, Planning
from leverframe.errors import InfraError
from tests.integration.infra_root import Root, absent

pytestmark = pytest.mark.skipif(bool(absent("terraform")), reason=absent("terraform"))
THING = 'module "thing" { source = "./thing" }\n'
BACKEND = 'terraform {{\n  backend "{}" {{}}\n}}\n'


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Return a root module that calls another one, as most do."""
    root = Root.below(tmp_path)
    (root.folder / "thing").mkdir()
    (root.folder / "thing/main.tf").write_text('resource "terraform_data" "thing" { input = terraform.workspace }\n')
    return root.write(THING)


def _ready(root: Root, name: str, **settings: Any) -> InfraTool:
    """Return a tool that was initialised, as the environment of that name."""
    root.data = root.data.parent / name
    return root.ready(**settings)


def _states(root: Root) -> dict[str, str]:
    paths = [path for path in root.folder.rglob("*.tfstate*") if path.is_file()]
    return {str(path.relative_to(root.folder)): path.read_text(encoding="utf-8") for path in paths}


def test_environments_of_one_root_have_workspaces(root: Root) -> None:
    """Of any number, planned as often as one likes, also by a clone that knows of none."""
    root.write(BACKEND.format("local") + THING)
    for name in ("staging", "production"):
        root.apply(_ready(root, name, workspace=name))
    known = _states(root)
    assert root.plan(_ready(root, "third", workspace="third")).counts == {ChangeKind.CREATE: 1}
    for name in ("staging", "fresh", "fresh"):
        assert root.plan(_ready(root, name, workspace="staging")).empty, name
    assert _states(root) == known


def test_a_workspace_with_nothing_in_it_is_told(root: Root) -> None:
    """Its name may be a slip, and a plan to create everything looks alike."""
    notes: dict[str, list[str]] = {}
    for workspace in ("default", "staging", "staging"):
        tool = _ready(root, "mine", workspace=workspace)
        saved = tool.planned(Planning(lock=True))
        notes[workspace] = [*notes.get(workspace, ()), *saved.notes]
        tool.applied(saved)
        tool.forget(saved)
    assert [len(notes[name]) for name in ("default", "staging")] == [0, 1]
    assert "workspace `staging` has nothing in it yet" in notes["staging"][0]


def test_a_state_that_is_there_is_that_of_a_local_backend(root: Root) -> None:
    """Also where other workspaces have states, and where the backend is written down later."""
    root.apply(_ready(root, "mine"))
    root.apply(_ready(root, "staging", workspace="staging"))
    root.write(BACKEND.format("local") + THING)
    assert root.plan(_ready(root, "mine")).empty
    assert root.plan(_ready(root, "fresh")).empty
    assert root.plan(_ready(root, "fresh", backend={"path": "terraform.tfstate"})).empty
    assert not [line for line in root.lines if "beside" in line]


def test_another_local_state_is_not_taken_for_the_own(root: Root) -> None:
    """Environments differ in the path of their state, which is told; theirs stay as they are."""
    root.write(BACKEND.format("local") + THING)
    root.apply(_ready(root, "mine"))
    known = _states(root)
    other = _ready(root, "other", backend={"path": "other.tfstate"})
    message = "terraform.tfstate beside the root module is not of this environment, whose `path` is other.tfstate"
    assert message in root.lines
    assert root.apply(other).counts == {ChangeKind.CREATE: 1}
    assert {name: text for name, text in _states(root).items() if name != "other.tfstate"} == known
    assert root.plan(_ready(root, "mine")).empty
    assert root.plan(_ready(root, "other", backend={"path": "other.tfstate"})).empty


def test_settings_of_the_backend_may_change(root: Root) -> None:
    """The state is the one at the new place, as a fresh clone has it; that none was moved is told."""
    root.write(BACKEND.format("local") + THING)
    for name in ("one", "two"):
        assert root.apply(_ready(root, "mine", backend={"path": f"{name}.tfstate"})).counts == {ChangeKind.CREATE: 1}
    assert root.plan(_ready(root, "mine", backend={"path": "one.tfstate"})).empty
    assert sum("settings of the backend changed" in line for line in root.lines) == 2
    root.write(THING)
    assert root.plan(_ready(root, "mine")).counts == {ChangeKind.CREATE: 1}


def test_settings_of_the_backend_are_of_any_kind(root: Root) -> None:
    """As Terraform has them: booleans and numbers are no texts; what has parts is in a file, for `init` alone."""
    module = RootModule(root.folder, root.data, {
        "bucket": "b c", "use_lockfile": True, "max_retries": 3, "profile": None, "endpoints": {"s3": "http://x"},
        "allowed_account_ids": ["1"],
    })  # fmt: skip
    *texts, path = module.settings()
    assert texts == ["bucket=b c", "use_lockfile=true", "max_retries=3"]
    assert json.loads(Path(path).read_text()) == {"endpoints": {"s3": "http://x"}, "allowed_account_ids": ["1"]}
    root.write(BACKEND.format("http") + THING)
    backend: dict[str, Any] = {"address": "http://127.0.0.1:9/state", "retry_max": 0, "skip_cert_verification": True}
    with pytest.raises(InfraError) as caught:
        _ready(root, "mine", backend=backend)
    assert "connection refused" in caught.value.why, "its settings fit, so that Terraform asks for the state"
    with pytest.raises(InfraError) as caught:
        _ready(root, "other", backend={**backend, "endpoints": {"s3": "http://x"}})
    assert "endpoints" in caught.value.why, "Terraform reads the file, and says that http has no such setting"


def test_no_state_is_moved_into_another_backend(root: Root) -> None:
    """Nor is a plan made that creates everything once more; it works once the state is out of the way."""
    root.apply(_ready(root, "mine"))
    known = _states(root)
    root.write(BACKEND.format("http") + THING)
    backend = {"address": "http://127.0.0.1:9/state", "retry_max": "0"}
    for _ in range(2):
        with pytest.raises(InfraError) as caught:
            _ready(root, "mine", backend=backend)
        assert caught.value.what == "a state beside the root module is not in its backend"
        assert f"terraform.tfstate in {root.folder}" in caught.value.why
        assert "backend (http)" in caught.value.why
        assert (
            "init -migrate-state -backend-config=address=http://127.0.0.1:9/state -backend-config=" in caught.value.next
        )
    assert _states(root) == known
    (root.folder / "terraform.tfstate").rename(root.folder / "old.tfstate")
    with pytest.raises(InfraError) as caught:
        _ready(root, "mine", backend=backend)
    assert "connection refused" in caught.value.why  # no server is there


def test_nothing_is_made_twice_where_a_state_is_not_saved(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terraform left it beside the root module; the line that saves it is told until that was done."""
    tool = _ready(root, "mine", workspace="staging")
    root.apply(tool)
    state = root.folder / "terraform.tfstate.d/staging/terraform.tfstate"
    left = state.rename(root.folder / "errored.tfstate")
    with pytest.raises(InfraError) as caught:
        root.plan(tool)
    assert caught.value.what == "the state of an apply is not saved"
    variables, rest = caught.value.next.removeprefix("`").split(" terraform ")
    assert variables == f"TF_DATA_DIR={root.data / 'staging'} TF_WORKSPACE=staging"
    assert rest.startswith(f"-chdir={root.folder} state push errored.tfstate`, then remove")
    monkeypatch.setattr(terraform_backend, "_WAITS", (0, 0))
    module = RootModule(root.folder, root.data / "staging", {}, "staging")
    results = iter([(1, "", ""), (1, "", "")])
    module.save_left(lambda: next(results), root.lines.append)
    assert (list(results), left.stat().st_mode & 0o77) == ([], 0)
    state.write_text(left.read_text())
    left.unlink()
    module.save_left(lambda: pytest.fail("nothing is left"), root.lines.append)
    assert root.plan(tool).empty
