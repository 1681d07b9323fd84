"""What is served and judged is what dvc.lock names, also after a switch of branches, or it is said that it is not."""

from __future__ import annotations

import http.client
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from leverframe.application.as_locked import recorded_here
from tests.integration.shop import Shop, copied, finished

FREE = ("--port", "0", "--grpc-port", "0", "--metrics-port", "0")


@pytest.fixture(scope="module")
def switched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Return a shop in which somebody trained another model on a branch, and then checked main out."""
    shop = copied(finished(tmp_path_factory), tmp_path_factory.mktemp("switched"))
    shop.repository.git("checkout", "--quiet", "-b", "worse")
    shop.replace("params.yaml", "iterations: 5", "iterations: 2")
    shop.repository.dvc("repro")
    shop.repository.commit("A worse model")
    shop.repository.git("checkout", "--quiet", "main")
    yield shop
    shop.run("serve", "--stop")


def answered(port: int, example: object) -> dict[str, str]:
    """Return the parameters of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v2/models/shop/infer", json.dumps(example), {"content-type": "application/json"})
    parameters: dict[str, str] = json.loads(connection.getresponse().read())["parameters"]
    connection.close()
    return parameters


def test_a_switch_of_branches_is_not_stale_and_what_it_left_is_not_taken_for_the_model(switched: Shop) -> None:
    """`dvc checkout` everywhere: in `status`, `gate` and `serve`; no word of an edit, and nothing to run."""
    shown = switched.run("status")
    assert shown.stdout.rstrip().endswith("next: dvc checkout"), shown.stdout
    assert "is that of another commit" in shown.stdout
    assert (switched.stale(), "changed after the run" in shown.stdout) == (set(), False)
    assert switched.run("check").code == 0
    for command, code in (("gate", 18), ("serve", 28)):
        done = switched.run(command, *(FREE if command == "serve" else ()))
        what, _, following = done.error()
        assert done.code == code, done
        assert "not what dvc.lock names" in what
        assert "`dvc checkout models/" in following
        named = re.findall(r"\w+/[\w./]+", what.partition(" not what ")[0])
        assert named, what
        assert [path for path in named if path not in following] == []  # one paste brings all of them back
    assert "`leverframe serve --as-is`" in following
    assert switched.run("serve", "models/bundle", *FREE).code == 28  # by its path as well
    for stage in (("evaluate",), ("bundle",)):
        done = switched.run(*stage)
        assert "not what dvc.lock names; `dvc checkout models/" in done.stderr, done
    switched.repository.dvc("checkout", "--force")
    switched.repository.git("checkout", "--quiet", "--", "reports")


def test_what_is_served_has_its_commit(switched: Shop) -> None:
    """As it lies there, marked so; then that of the lock, from the cache where it is not checked out."""
    bundle = switched.root / "models/bundle"
    switched.repository.git("checkout", "--quiet", "worse")
    switched.repository.dvc("checkout", "models/bundle")
    switched.repository.git("checkout", "--quiet", "main")
    report = json.loads(switched.run("serve", "--as-is", *FREE, "--json").stdout)
    assert report["commits"] == {"shop": "as-is"}
    assert answered(report["running"]["port"], report["example"])["commit"] == "as-is"
    assert report["note"] == ""  # it was asked for
    shown = switched.run("serve", "--status").stdout
    assert "release 1, as it lies in the working tree" in shown
    assert "dvc.lock here names another bundle" in shown
    assert switched.run("serve", "--stop").code == 0
    shutil.rmtree(bundle)
    head = switched.repository.git("rev-parse", "HEAD").strip()
    report = json.loads(switched.run("serve", *FREE, "--json").stdout)
    assert report["commits"] == {"shop": head}
    assert answered(report["running"]["port"], report["example"])["commit"] == head
    shown = switched.run("serve", "--status").stdout
    assert f"of commit {head[:12]}" in shown
    assert "note:" not in shown
    assert not bundle.exists()


def test_a_server_that_runs_since_another_branch_says_so_with_what_to_do(switched: Shop) -> None:
    """Whatever is said of its commit is easily overlooked, where two branches are compared."""
    switched.repository.git("checkout", "--quiet", "main")
    switched.run("serve", *FREE)
    main = switched.repository.git("rev-parse", "HEAD").strip()
    switched.repository.commit("The same model")
    assert json.loads(switched.run("serve", "--json").stdout)["note"] == ""  # a later commit that names the same
    switched.repository.git("checkout", "--quiet", "worse")
    switched.repository.dvc("checkout", "models/bundle")
    for command in (("serve",), ("serve", "--status"), ("serve", *FREE)):
        shown = switched.run(*command)
        assert (shown.code, f"of commit {main[:12]}" in shown.stdout) == (0, True)
        assert "dvc.lock here names another bundle" in shown.stdout
    listing = cached(switched)
    hidden = listing.rename(listing.with_suffix(".hidden"))
    assert "names another bundle" in switched.run("serve", "--status").stdout  # by the lock of its commit
    hidden.rename(listing)
    advice = re.findall("`leverframe ([^`]+)`", shown.stdout)
    assert advice == ["serve --stop", "serve"]
    assert switched.run(*advice[0].split()).code == 0
    shown = switched.run(*advice[1].split(), *FREE)
    assert "of commit " + switched.repository.git("rev-parse", "HEAD")[:12] in shown.stdout
    assert "note:" not in shown.stdout


def cached(shop: Shop) -> Path:
    """Return the listing of the bundle in the cache."""
    digest = recorded_here(shop.root)["models/bundle"].md5
    place = shop.repository.dvc("cache", "dir").strip()
    return shop.root / place / "files/md5" / digest[:2] / digest[2:]


def test_an_output_that_somebody_edited_is_changed(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No run wrote it, so it is in no cache: it is an edit, which `dvc checkout --force` undoes."""
    shop = copied(finished(tmp_path_factory), tmp_path)
    model = shop.root / "models/model.json"
    text = model.read_text(encoding="utf-8")
    model.unlink()
    model.write_text(text + "\n", encoding="utf-8")
    assert shop.status()["train"]["state"] == "changed"
    assert "`dvc checkout --force models/model.json`" in shop.run("gate").error()[2]
    (shop.root / "dvc.lock").unlink()
    what, _, following = shop.run("serve", *FREE).error()
    assert ("dvc.lock names none" in what, "--as-is" in following) == (True, True)
    shutil.rmtree(shop.root / "models/bundle")
    assert shop.run("serve", *FREE).error()[2] == "`dvc repro`"
