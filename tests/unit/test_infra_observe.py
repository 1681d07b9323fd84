"""`leverframe infra observe` on real folders: what it tells of them, and from where it goes on counting."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from leverframe import wiring
from leverframe.adapters.process import Processes
from leverframe.application.infra_observe import dvc_remote, observe
from leverframe.domain.infrastructure.observed_server import MARKER
from leverframe.errors import SettingsError
from leverframe.package import local_environment

SETTINGS = """
infra:
  environments:
    local: {observe: local}
    named: {observe: local, variables: {server: production, dvc_remote: remote}}
    cloud: {}
"""
TOKEN = "a" * 64


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with settings, which is the working directory."""
    return checkout(tmp_path / "here", monkeypatch)


def checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the settings into a folder, and go there."""
    folder.mkdir()
    (folder / "leverframe.yaml").write_text(SETTINGS)
    monkeypatch.chdir(folder)
    return folder


def seen(environment: str = "local") -> dict[str, Any]:
    """Observe, and return the values of the document."""
    document = json.loads(observe(wiring.workspace(), environment).read_bytes())
    return {name: output["value"] for name, output in document["outputs"].items()}


def record(root: Path, mark: str, *, start_time: int | None = None) -> None:
    """Record this process as the server `local`."""
    folder = root / ".leverframe/servers/local"
    folder.mkdir(parents=True, exist_ok=True)
    start = Processes().start_time(os.getpid()) if start_time is None else start_time
    ports = {"port": 1, "grpc_port": 2, "metrics_port": 3}
    running = {"pid": os.getpid(), "start_time": start, "host": "127.0.0.1", **ports}
    (folder / "server.json").write_text(json.dumps(running | {"mark": mark}))


def test_nothing_is_told_as_nothing(root: Path) -> None:
    """The first look at a machine: no server, no folder, generation 0; and nothing is made but the document."""
    values = seen()
    assert (values["generation"], values["server"]["alive"], values["server"]["answers"]) == (0, False, False)
    assert values["folders"] == {
        "dvc_remote": {"path": ".leverframe/storage", "mode": "", "mark": ""},
        "model_repository": {"path": ".leverframe/servers/local", "mode": "", "mark": ""},
    }
    assert not (root / ".leverframe/servers").exists()
    assert not (root / ".leverframe/storage").exists()


def test_names_come_from_the_variables(root: Path) -> None:
    """The server and the folder that the root module is told of are those that are looked at."""
    (root / "remote").mkdir(mode=0o750)
    values = seen("named")
    assert values["server"]["name"] == "production"
    assert values["folders"]["dvc_remote"] == {"path": "remote", "mode": "0750", "mark": ""}
    assert values["folders"]["model_repository"]["path"] == ".leverframe/servers/production"


def test_a_process_that_lives_and_does_not_answer_is_told_so(root: Path) -> None:
    """It may hang: it has its mark, and does not answer. One of another start is another process."""
    record(root, f"{TOKEN}@4")
    values = seen()
    assert (values["server"]["alive"], values["server"]["answers"], values["server"]["mark"]) == (
        True,
        False,
        f"{TOKEN}@4",
    )
    record(root, f"{TOKEN}@4", start_time=1)
    values = seen()
    assert (values["server"]["alive"], values["server"]["mark"], values["generation"]) == (False, "", 4)


def test_generations_go_on_from_any_record(root: Path) -> None:
    """A dead process, a marker, the state, the last look: whichever is left knows the latest, and none goes back."""
    record(root, f"{TOKEN}@2", start_time=1)
    assert seen()["generation"] == 2
    storage = root / ".leverframe/storage"
    storage.mkdir()
    (storage / MARKER).write_text(f"{TOKEN}@3\n")
    assert seen()["generation"] == 3
    (storage / MARKER).unlink()
    (root / ".leverframe/servers/local/server.json").unlink()
    assert seen()["generation"] == 3  # the last look knows
    (root / ".leverframe/infra/local/live.tfstate").write_text("no document")
    assert seen()["generation"] == 0
    (root / ".leverframe/infra/local/terraform.tfstate").write_text(f'{{"triggers_replace": "{TOKEN}@5"}}')
    assert seen()["generation"] == 5


def test_a_file_in_the_place_of_a_folder_is_no_folder(root: Path) -> None:
    """Terraform plans to make it, and its error names the file."""
    storage = root / ".leverframe/storage"
    storage.parent.mkdir()
    storage.write_text("")
    assert seen()["folders"]["dvc_remote"]["mode"] == ""


def test_changed_settings_of_the_server_change_their_digest(root: Path) -> None:
    """Ports are variables of Terraform and count there; everything else that a server is started with counts here."""
    before = seen()["server"]["settings"]
    (root / "leverframe.yaml").write_text(SETTINGS + "serve: {port: 9999}\n")
    assert seen()["server"]["settings"] == before
    (root / "leverframe.yaml").write_text(SETTINGS + "serve: {maximum_bytes: 5000}\n")
    assert seen()["server"]["settings"] != before


@pytest.mark.usefixtures("root")
def test_two_checkouts_see_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a path, a process or a user is in the document; only the time differs."""
    here = seen()
    checkout(tmp_path / "there", monkeypatch)
    there = seen()
    assert here | {"observed_at": ""} == there | {"observed_at": ""}
    assert str(tmp_path) not in json.dumps(here)


@pytest.mark.parametrize(("environment", "word"), [("locla", "did you mean `local`?"), ("cloud", "observe: local")])
def test_what_is_not_observed_is_refused(root: Path, environment: str, word: str) -> None:
    """An unknown name, and one whose providers tell what there is."""
    with pytest.raises(SettingsError) as error:
        observe(wiring.workspace(), environment)
    assert word in error.value.next
    assert not (root / ".leverframe").exists()


def test_terraform_and_observe_agree_on_names() -> None:
    """The default folder of the DVC remote, the file of the marker, and the place of the document."""
    files = local_environment()
    root = files["terraform/environments/local/main.tf"]
    default = re.search(r'environment == "local" \? "([^"]+)" : "([^"]+)"\)', root)
    assert default is not None
    assert default[1] == dvc_remote("local")
    assert default[2].replace("${local.environment}", "second") == dvc_remote("second")
    assert dvc_remote("second") != dvc_remote("local")  # the end of one would remove it under the other
    store = files["terraform/modules/local_store/main.tf"]
    assert store.count(f'"{MARKER}"') == 2
    assert "/.leverframe/infra/${local.environment}/live.tfstate" in files["terraform/environments/local/main.tf"]
