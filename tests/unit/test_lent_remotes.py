"""What of the configuration of DVC another checkout gets: the cache, what opens remotes, and remotes that it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from dvc.config import Config

from leverframe.adapters.working_tree import WorkingTree
from leverframe.adapters.working_tree.remote import Remote

SHARED = "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://ours/dvc\n    verify = true\n"
LOCAL = (
    "['remote \"store\"']\n    secret_access_key = 'a\"b, c#d'\n    access_key_id = AB=\n    credentialpath = ../keys\n"
    "[cache]\n    type = symlink\n"
)


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no configuration of this machine count."""
    for name in ("DVC_SYSTEM_CONFIG_DIR", "DVC_GLOBAL_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def lent(tmp_path: Path, shared: str, local: str, other: str, *, remote: bool = True) -> Config:
    """Return the configuration that DVC reads in another checkout."""
    for name, config in (("here", shared), ("there", other)):
        (tmp_path / name / ".dvc").mkdir(parents=True)
        (tmp_path / name / ".git").mkdir()
        (tmp_path / name / ".dvc/config").write_text(config, encoding="utf-8")
    (tmp_path / "here/.dvc/config.local").write_text(local, encoding="utf-8")
    WorkingTree(tmp_path / "here").lend(tmp_path / "there", remote=remote)
    return Config(str(tmp_path / "there/.dvc"))


def test_keys_are_lent_as_they_are_and_paths_are_made_whole(tmp_path: Path) -> None:
    """Whatever is in a key, DVC reads the same there; how links are made is the business of each checkout."""
    there = lent(tmp_path, SHARED, LOCAL, SHARED)
    remote = there["remote"]["store"]
    assert (remote["url"], remote["secret_access_key"], remote["access_key_id"]) == ("s3://ours/dvc", 'a"b, c#d', "AB=")
    assert remote["credentialpath"] == str(tmp_path / "here/keys")
    assert there["cache"]["dir"] == str(tmp_path / "here/.dvc/cache")
    assert "type" not in there["cache"]


def test_a_commit_older_than_the_remote_gets_it(tmp_path: Path) -> None:
    """With all that is said of it, and as the default one."""
    config = lent(tmp_path, SHARED, LOCAL, "")
    assert config["core"]["remote"] == "store"
    assert (config["remote"]["store"]["url"], config["remote"]["store"]["verify"]) == ("s3://ours/dvc", True)


def test_a_change_does_not_decide_where_the_data_of_the_base_come_from(tmp_path: Path) -> None:
    """A remote that the other commit knows stays as it is there, and so does which one is the default."""
    edited = SHARED.replace("s3://ours", "s3://theirs").replace("true", "false").replace("= store", "= mine")
    config = lent(tmp_path, edited + "['remote \"mine\"']\n    url = s3://mine\n", "", SHARED)
    assert config["core"]["remote"] == "store"
    assert (config["remote"]["store"]["url"], config["remote"]["store"]["verify"]) == ("s3://ours/dvc", True)


def test_a_folder_is_lent_by_its_whole_path_and_no_remote_where_none_is_wanted(tmp_path: Path) -> None:
    """A relative address starts from the folder of its configuration."""
    shared = SHARED.replace("s3://ours/dvc", "../../storage")
    assert lent(tmp_path / "a", shared, "", shared)["remote"]["store"]["url"] == str(tmp_path / "a/storage")
    config = lent(tmp_path / "b", SHARED, LOCAL, SHARED, remote=False)
    assert "secret_access_key" not in config["remote"]["store"]


@pytest.mark.parametrize(
    ("config", "name", "url"),
    [
        (SHARED, "", "s3://ours/dvc"),
        (SHARED.replace("[core]\n    remote = store\n", ""), "", None),
        (SHARED.replace("[core]\n    remote = store\n", ""), "store", "s3://ours/dvc"),
        (SHARED.replace("remote = store", "remote = Store"), "", "s3://ours/dvc"),
        (SHARED.replace("['remote \"store\"']", '[remote "STORE"]').replace("url", "URL"), "", "s3://ours/dvc"),
        (SHARED, "other", None),
    ],
)
def test_the_default_remote_is_that_of_dvc(tmp_path: Path, config: str, name: str, url: str | None) -> None:
    """Names in any case, with quotes or without."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(config, encoding="utf-8")
    remote = Remote.of(tmp_path, name)
    assert (remote.url if remote else None) == url
    known = Config(str(tmp_path / ".dvc"))
    default = known["remote"].get((name or known["core"].get("remote", "")).lower())
    assert (default["url"] if default else None) == url


@pytest.mark.parametrize(
    ("local", "moved"),
    [
        ("    secret_access_key = other\n", False),
        ("    endpointurl = http://elsewhere\n", True),
        ("    url = s3://elsewhere\n", True),
        ("['remote \"base\"']\n    url = ssh://elsewhere\n", True),  # `remote://base` may be what another one is
    ],
)
def test_another_place_is_another_remote(tmp_path: Path, local: str, *, moved: bool) -> None:
    """What was found in one is not believed of another; another key opens the same."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(SHARED, encoding="utf-8")
    before = Remote.of(tmp_path)
    (tmp_path / ".dvc/config.local").write_text(f"['remote \"store\"']\n{local}", encoding="utf-8")
    after = Remote.of(tmp_path)
    assert before is not None
    assert after is not None
    assert (before.place != after.place) is moved
