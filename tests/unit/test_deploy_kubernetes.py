"""Deployment to a cluster as data: what is rendered, the plan, what pods tell, what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from leverframe.domain.plan_engine import Step
from leverframe.domain.release.kubernetes.cluster_plan import Remove, Rendered, Restore, number_for, planned
from leverframe.domain.release.kubernetes.cluster_record import AppliedRelease, ClusterRecord, read_record
from leverframe.domain.release.kubernetes.manifests import (
    BUNDLE,
    MANIFESTS,
    RELEASE,
    ClusterRelease,
    LiveAnnotations,
    digest_of,
    live,
    overlay,
    stamped,
)
from leverframe.domain.release.kubernetes.pods import Watch, fault
from leverframe.domain.release.release_manifest import ReleaseManifest
from leverframe.domain.release.release_state import Release, State
from leverframe.domain.release.steps import Adopt
from leverframe.errors import ClusterError, SettingsError
from leverframe.settings.levers import KubernetesSettings, Levers, check_names
from leverframe.settings.online import OnlineSettings
from tests.manifests import IMAGE, TARGETS, cluster, target


def manifest(bundle: str = "b", commit: str = "d") -> ReleaseManifest:
    """Return what a commit wants."""
    return ReleaseManifest("shop", commit * 40, "l" * 64, bundle * 64, "w" * 64, "p" * 64, "s" * 64)


def release(number: int, bundle: str = "b") -> Release:
    """Return a release of a bundle."""
    return Release(number, manifest(bundle), "2024-01-01T00:00:00+00:00")


def names(
    state: State, now: LiveAnnotations | None, to: ClusterRelease, wanted: ReleaseManifest | None = None
) -> list[str]:
    """Return the kinds of steps of a plan."""
    return [
        type(step.action).__name__ for step in planned(state, now, wanted or manifest(), Rendered(to, "x", [{}] * 6), 1)
    ]


def test_a_first_release_is_removed_where_it_fails() -> None:
    """There is nothing to compare with and nothing to go back to; every step says itself in words."""
    steps = planned(State("shop"), None, manifest(), Rendered(target(number=1), "x", [{}] * 6), 10)
    kinds = [type(step.action).__name__ for step in steps]
    assert kinds == ["Fetch", "Validate", "Apply", "Rollout", "VerifyPods", "Record"]
    assert [step.undo for step in steps if step.undo] == [Remove("shop")]
    assert all(str(step) for step in steps)


def test_a_later_release_is_compared_and_goes_back() -> None:
    """Its undoing is to apply what was recorded last."""
    state = State("shop", (release(4, "a"),), highest=7)
    assert number_for(state, "b" * 64) == 8
    steps = planned(state, LiveAnnotations("a" * 64, 4, "y"), manifest(), Rendered(target(number=8), "x", [{}] * 6), 10)
    assert [step.undo for step in steps if step.undo] == [Restore(4)]
    assert "Compare" in [type(step.action).__name__ for step in steps]


def test_what_the_cluster_carries_needs_no_step() -> None:
    """The same bundle, number and manifests, recorded: nothing. Another commit is noted; anything else is applied."""
    state, here = State("shop", (release(3),), 3), LiveAnnotations("b" * 64, 3, "x")
    assert number_for(state, "b" * 64) == 3
    assert names(state, here, target()) == []
    assert planned(state, here, manifest(commit="e"), Rendered(target(), "x", [{}] * 6), 1) == (Step(Adopt("e" * 40)),)
    whole = ["Fetch", "Validate", "Apply", "Rollout", "VerifyPods", "Record"]
    assert names(state, replace(here, digest="y"), target()) == whole  # other settings
    assert names(state, LiveAnnotations("a" * 64, 2, "y"), target()) == whole  # somebody went back by hand
    assert names(state, None, target()) == whole  # somebody deleted it


def test_a_killed_deployment_gets_its_number_again() -> None:
    """It was applied and not recorded: the plan is whole, and so is what it does."""
    state = State("shop", (release(2, "a"),), 2)
    assert number_for(state, "b" * 64) == 3
    assert names(state, LiveAnnotations("b" * 64, 3, "x"), target())[-1] == "Record"


@given(TARGETS)
def test_an_overlay_is_the_same_for_the_same_target(to: ClusterRelease) -> None:
    """It is JSON, names the image by digest, and nothing in it is taken for a variable but the name of the pod."""
    kustomization = overlay(to)
    assert json.loads(json.dumps(kustomization)) == kustomization == overlay(to)
    assert kustomization["images"][0]["digest"].startswith("sha256:")
    words = to.arguments()
    assert words[words.index("--md5") + 1] == to.content
    variables = [word for word in words if "$(" in word.replace("$$", "")]
    assert variables == ([words[-1]] if to.cluster.log_claim else [])
    serve = json.loads(words[words.index("--serve") + 1].replace("$$", "$"))
    assert serve["host"] == "0.0.0.0"  # noqa: S104 - the pod's own
    assert serve["log"]["deny"] == to.serve.log.deny


def test_the_workload_carries_the_digest_of_all_objects() -> None:
    """A change of any object changes it; what the cluster says of itself is read back."""
    objects = [
        {"kind": "Service", "metadata": {"name": "shop"}},
        {"kind": "Deployment", "metadata": {"name": "shop", "labels": {RELEASE: "3"}, "annotations": {BUNDLE: "b"}}},
    ]
    first = stamped(objects, target())
    other = stamped([{**objects[0], "spec": {}}, objects[1]], target())
    assert digest_of(first, "Deployment") != digest_of(other, "Deployment")
    assert MANIFESTS not in first[0]["metadata"].get("annotations", {})
    assert live(first[1]) == LiveAnnotations("b", 3, digest_of(first, "Deployment"))
    assert live(None) is None
    assert live({"metadata": {"labels": {RELEASE: "3"}}}) is None  # somebody else's


def pod(
    name: str = "shop-1", *, bundle: str = "b", image: str = IMAGE, number: int = 3, **status: Any
) -> dict[str, Any]:
    """Return a pod of a release."""
    metadata = {"name": name, "labels": {RELEASE: str(number)}, "annotations": {BUNDLE: bundle * 64}}
    spec = {"containers": [{"name": "server", "image": image}, {"name": "sidecar", "image": "other"}]}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running", **status}}


def server(*, ready: bool, restarts: int = 0, **state: Any) -> dict[str, Any]:
    """Return the status of a pod's container."""
    return {"containerStatuses": [{"name": "server", "ready": ready, "restartCount": restarts, "state": state}]}


@pytest.mark.parametrize(
    ("pods", "words", "of_the_bundle"),
    [
        ([], "no pod of it", False),
        ([pod(number=2, **server(ready=False, waiting={"reason": "CrashLoopBackOff"}))], "no pod of it", False),
        ([pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "busy"}])], "no node: busy", False),
        ([pod(**server(ready=False, waiting={"reason": "ImagePullBackOff", "message": "denied"}))], "denied", False),
        ([pod(**server(ready=False, waiting={"reason": "ContainerCreating"}))], "give no reason", False),
        ([pod(**server(ready=False, running={}))], "the model does not get ready", True),
        ([pod(**server(ready=False, terminated={"exitCode": 137, "reason": "OOMKilled"}))], "137: OOMKilled", True),
        (
            [pod(initContainerStatuses=[{"name": "fetch", "state": {"terminated": {"exitCode": 28, "message":
                "a line\nerror: the remote has no `x`\n  why:  nothing\n  next: push"}}}])],
            "step `fetch`: it ended with 28: error: the remote has no 'x'; why:  nothing", False,
        ),
    ],
)  # fmt: skip
def test_pods_tell_why_they_do_not_come(pods: list[dict[str, Any]], words: str, of_the_bundle: bool) -> None:
    """What a node, an image or a remote lacks is not the bundle's fault; a server that does not answer with it is."""
    failure = fault(pods, 3)
    assert words in failure.why
    assert failure.of_the_bundle is of_the_bundle


def test_pods_are_watched() -> None:
    """Each has the image and the bundle, stays ready and is not started again; those that go do not count."""
    fine, watch = [pod("a", **server(ready=True)), pod("b", **server(ready=False))], Watch(target())
    assert watch.wrong(fine) == ""
    assert watch.wrong([*fine, pod("c", bundle="a") | {"metadata": {"name": "c", "deletionTimestamp": "now"}}]) == ""
    assert "no longer" in watch.wrong([pod("a", **server(ready=False))])
    assert "started again" in watch.wrong([pod("a", **server(ready=True, restarts=1))])
    assert "serves bundle aaa" in watch.wrong([*fine, pod("d", bundle="a")])
    assert "another image" in watch.wrong([pod("a", image="x@sha256:1", **server(ready=True))])
    assert Watch(target()).wrong([]) == "no pod is ready"


def test_the_record_loses_nothing_and_a_damaged_one_is_refused() -> None:
    """What is pruned from the state is pruned from the object; the version is that which was read."""
    state = State("shop", (release(1, "a"), release(2)), 2, {"c" * 64: "why"})
    kept = {number: AppliedRelease([{"kind": "Service"}], {"keys": []}) for number in (0, 1, 2)}
    written = ClusterRecord(state, kept, "7").manifest("shop", "shops")
    assert sorted(written["data"]) == ["release-1.json", "release-2.json", "state.json"]
    record = read_record("shop", written)
    assert (record.state, dict(record.kept), record.version) == (state, {1: kept[1], 2: kept[2]}, "7")
    assert read_record("shop", None).state == State("shop")
    del written["data"]["release-2.json"]
    with pytest.raises(ClusterError, match="cannot be read"):
        read_record("shop", written)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image": "leverframe:latest"}, "by digest"),
        ({"image": "x@sha256:" + "a" * 64 + "\n"}, "by digest"),
        ({"remote": "storage"}, "scheme://place"),
        ({"remote": "https://user:word@x/y"}, "no password"),
        ({"remote": "https://x/y?key=1"}, "no password"),
        ({"remote": "https://x/$(POD_NAME)"}, "scheme://place"),
        ({"remote": "https://x:port/y"}, "port"),
        ({"replicas": {"minimum": 3, "maximum": 2}}, "contradict"),
    ],
)
def test_settings_that_no_cluster_could_take_are_refused(values: dict[str, Any], words: str) -> None:
    """A tag may move, a password would be printed, and a variable would be filled in."""
    with pytest.raises(ValueError, match=words):
        cluster(**values)


def test_a_model_whose_name_is_no_name_of_objects_needs_another() -> None:
    """A Service begins with a letter; where the model does not, the settings say how it is called."""
    environment: dict[str, Any] = {"kubernetes": cluster().model_dump()}
    unnamed = Levers.model_validate({"deploy": {"environments": {"here": environment}}})
    with pytest.raises(SettingsError) as caught:
        check_names(unnamed, "1st")
    assert "kubernetes.name" in caught.value.next
    check_names(unnamed, "first")
    environment["kubernetes"]["name"] = "first"
    check_names(Levers.model_validate({"deploy": {"environments": {"here": environment}}}), "1st")


def test_every_key_has_a_meaning() -> None:
    """It is what `leverframe settings --schema` prints."""
    assert all(field.description for field in KubernetesSettings.model_fields.values())


@pytest.mark.parametrize("flavour", ["deployment", "kserve"])
def test_pods_read_the_url_of_redis_from_the_secret(flavour: str) -> None:
    """No manifest holds it; a folder of this machine is no store of a pod; without a Secret it is refused."""
    online = OnlineSettings(store="redis", redis="FEATURES", maximum_age_hours=6)
    to = target(online=online, settings=cluster(secret="keys", flavour=flavour))  # noqa: S106 - a name
    text = json.dumps(overlay(to))
    assert '{"name": "FEATURES", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "FEATURES"}}}' in text.replace(
        '\\"', '"'
    )
    assert ("6379" in text) == (flavour == "deployment")
    argument = json.loads(to.arguments()[to.arguments().index("--online") + 1])
    assert (argument["store"], argument["redis"], argument["maximum_age_hours"]) == ("redis", "FEATURES", 6)
    beside = target(online=OnlineSettings(store="file", maximum_age_hours=6)).arguments()
    assert json.loads(beside[beside.index("--online") + 1])["store"] == "bundle"
    assert not {"--online", "--trusted"} & {*target().arguments()}
    environment = {"kubernetes": cluster().model_dump(exclude={"monitor"}) | {"secret": None}}
    with pytest.raises(ValueError, match=r"online\.store: redis"):
        Levers.model_validate({"online": online.model_dump(), "deploy": {"environments": {"local": environment}}})


def test_a_pod_is_told_which_own_types_the_commit_trusts() -> None:
    """One option each; a release without any has the manifests that it had before."""
    words = target(trusted=("shop.model.Same", "shop.model.log1p")).arguments()
    assert [words[at + 1] for at, word in enumerate(words) if word == "--trusted"] == [
        "shop.model.Same",
        "shop.model.log1p",
    ]
    assert overlay(target(trusted=())) == overlay(target())
