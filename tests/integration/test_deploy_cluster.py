"""Deployments to a cluster with the real `kubectl`: manifests held to their schemas, rollouts on a fake API server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from leverframe import wiring
from leverframe.adapters.kubectl import Kubectl
from leverframe.application import deploy as application
from leverframe.application.rollback import rollback
from leverframe.domain.release.kubernetes.manifests import BUNDLE, RELEASE, ClusterRelease, overlay
from leverframe.errors import ClusterError, ClusterUnreachableError, ServerBusyError
from leverframe.local.repository import TemporaryRepository
from tests.fakes.kubernetes.server import ClusterServer, kubeconfig
from tests.fakes.kubernetes.state import Objects
from tests.integration.served import two_models
from tests.integration.shop import Shop, built_once, copied
from tests.manifests import IMAGE, JOB_IMAGE, TARGETS, cluster, fits, target
from tests.profiles import by_day, examples

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no `kubectl` on PATH")

CLUSTER = f"""
    cluster:
      kubernetes: {{context: fake, namespace: shops, image: "{IMAGE}", remote: "https://data.example.org/storage"}}
    mesh:
      after: cluster
      kubernetes: {{context: fake, namespace: meshes, image: "{IMAGE}", remote: "https://data.example.org/storage",
                    flavour: kserve}}
"""


def rendered(to: ClusterRelease) -> list[dict[str, Any]]:
    """Return what `kubectl kustomize` makes of a release."""
    return Kubectl("nowhere", "nothing").render(overlay(to))


def all_fit(objects: list[dict[str, Any]]) -> None:
    """Raise an error for the first object that does not fit."""
    for manifest in objects:
        fits(manifest)


@settings(max_examples=examples(0.1))
@given(TARGETS)
def test_whatever_the_settings_allow_is_valid(to: ClusterRelease) -> None:
    """Strictly, each object of either flavour, in the namespace, under its name, of the image by digest."""
    objects = rendered(to)
    all_fit(objects)
    for manifest in objects:
        of_job = manifest["kind"] == "NetworkPolicy" and "leverframe-monitor" in str(manifest)
        name = f"{to.name}-monitor" if of_job else to.name
        assert (manifest["metadata"]["name"], manifest["metadata"]["namespace"]) == (name, to.cluster.namespace)
        image = JOB_IMAGE if manifest["kind"] == "CronJob" else to.cluster.image
        assert f"'{image}'" in str(manifest) or "image" not in str(manifest)
    assert ("CronJob" in {entry["kind"] for entry in objects}) == (to.cluster.monitor is not None)


@pytest.mark.parametrize("flavour", ["deployment", "kserve"])
@pytest.mark.parametrize("field", ["readinessProbe", "readOnlyRootFilesystem", "preStop", "args", "maxSurge"])
def test_a_slip_of_the_pen_is_found(flavour: str, field: str) -> None:
    """A misspelt field anywhere in a pod fails: without `--strict` it would pass and do nothing."""
    objects = rendered(target(cluster(flavour=flavour)))
    spoilt = [json.loads(json.dumps(manifest).replace(f'"{field}"', f'"{field[:-1]}"')) for manifest in objects]
    assert spoilt != objects
    with pytest.raises(AssertionError, match=field[:-1]):
        all_fit(spoilt)


def test_a_kind_that_nobody_describes_is_an_error() -> None:
    """The command would only warn of it."""
    with pytest.raises(AssertionError, match="nobody describes InferenceServise"):
        fits({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceServise", "metadata": {"name": "x"}})


@pytest.mark.parametrize("flavour", ["deployment", "kserve"])
def test_pods_are_locked_down_and_take_over_without_a_gap(flavour: str) -> None:
    """The facts that keep traffic alive and an intruder out stand in every pod, of either flavour."""
    objects = {manifest["kind"]: manifest for manifest in rendered(target(cluster(flavour=flavour, log_claim="logs")))}
    if flavour == "deployment":
        spec = objects["Deployment"]["spec"]
        pod, strategy = spec["template"]["spec"], spec["strategy"]
        server, metadata = pod["containers"][0], spec["template"]["metadata"]
        assert "replicas" not in spec  # they are the autoscaler's
        metric = objects["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["resource"]
        assert (metric["name"], metric["target"]["averageUtilization"]) == ("cpu", 60)
        assert objects["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
        assert objects["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    else:
        pod = metadata = objects["InferenceService"]["spec"]["predictor"]
        server, strategy = objects["ServingRuntime"]["spec"]["containers"][0], pod["deploymentStrategy"]
        assert pod["model"]["runtime"] == objects["ServingRuntime"]["metadata"]["name"]
    fetch = pod["initContainers"][0]
    assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["terminationGracePeriodSeconds"] == 45
    assert server["lifecycle"]["preStop"]["sleep"]["seconds"] == 8
    for probe in ("startupProbe", "readinessProbe"):
        assert server[probe]["httpGet"]["path"] == "/v2/models/shop/ready"
    assert server["startupProbe"]["periodSeconds"] * server["startupProbe"]["failureThreshold"] >= 60
    assert server["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert {"name": "MLSERVER_PARALLEL_WORKERS", "value": "0"} in server["env"]
    assert {"name": "OMP_NUM_THREADS", "value": "1"} in server["env"]
    assert (metadata["annotations"][BUNDLE], metadata["labels"][RELEASE]) == ("b" * 64, "3")
    for container in (fetch, server):
        assert container["image"] == IMAGE
        assert container["resources"]["limits"]["cpu"] == container["resources"]["requests"]["cpu"] == "1"
        locked = container["securityContext"]
        assert (locked["readOnlyRootFilesystem"], locked["allowPrivilegeEscalation"]) == (True, False)
        assert locked["capabilities"] == {"drop": ["ALL"]}
        assert locked["seccompProfile"] == {"type": "RuntimeDefault"}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {"release", "tmp", "log"} == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("flavour", ["deployment", "kserve"])
def test_the_monitor_runs_beside_the_log_and_gets_no_traffic(flavour: str) -> None:
    """Locked down like the others, one at a time, with what differs as arguments; no Service selects its pods."""
    job = {"image": JOB_IMAGE, "repository": "https://forge.example.org/acme/shop.git", "secret": "alerts"}
    to = target(cluster(flavour=flavour, log_claim="logs", secret="remote", monitor=job), environment="production")  # noqa: S106
    objects = rendered(to)
    all_fit(objects)
    cron = next(entry for entry in objects if entry["kind"] == "CronJob")
    assert (cron["spec"]["concurrencyPolicy"], cron["spec"]["timeZone"]) == ("Forbid", "Etc/UTC")
    template = cron["spec"]["jobTemplate"]["spec"]["template"]
    pod, (container,) = template["spec"], template["spec"]["containers"]
    assert container["args"][1:] == [
        "monitor", "https://forge.example.org/acme/shop.git", "d" * 40, "production", "/var/log/leverframe/shop",
        "/var/log/leverframe/.monitor/shop",
    ]  # fmt: skip
    assert [source["secretRef"]["name"] for source in container["envFrom"]] == ["remote", "alerts"]
    assert pod["serviceAccountName"] == "shop"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    locked = container["securityContext"]
    assert (locked["readOnlyRootFilesystem"], locked["allowPrivilegeEscalation"]) == (True, False)
    assert locked["capabilities"] == {"drop": ["ALL"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert {"name": "log", "persistentVolumeClaim": {"claimName": "logs"}} in pod["volumes"]
    labels = template["metadata"]["labels"]
    for manifest in objects:
        if manifest["kind"] in ("Service", "PodDisruptionBudget"):
            wanted = manifest["spec"]["selector"]
            assert not (wanted.get("matchLabels", wanted).items() <= labels.items()), manifest["kind"]
    policy = next(entry for entry in objects if entry["metadata"]["name"] == "shop-monitor")
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert "ingress" not in policy["spec"]
    with pytest.raises(ValueError, match="log_claim"):
        cluster(monitor=job)


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no `git` on PATH")
def test_the_script_of_the_job_clones_the_commit_and_runs_the_monitor(tmp_path: Path) -> None:
    """The shell of the container with its arguments: names and addresses are never part of the script."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/leverframe").write_text(
        f"#!/bin/sh\npwd > {tmp_path}/told\nprintf '%s\\n' \"$@\" >> {tmp_path}/told\n"
    )
    (tmp_path / "bin/leverframe").chmod(0o755)
    author = TemporaryRepository.create(tmp_path / "author", dvc=False)
    author.write("a", "1")
    commit = author.commit("Start")
    job = {"image": JOB_IMAGE, "repository": "https://x/y"}
    to = target(cluster(log_claim="logs", monitor=job), environment="production", commit=commit)
    cron = next(manifest for manifest in rendered(to) if manifest["kind"] == "CronJob")
    (container,) = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    script, *words = [*container["command"], *container["args"]][2:]
    words[1] = str(author.root)
    (tmp_path / "work $(touch INJECTED)").mkdir()
    environment = {**author.environment, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    place = tmp_path / "work $(touch INJECTED)"
    subprocess.run(["sh", "-euc", script, *words], cwd=place, env=environment, check=True)
    lines = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith("/repository")
    assert lines[1:] == ["monitor", "--environment", "production", "--log", "/var/log/leverframe/shop", "--out",
                        "/var/log/leverframe/.monitor/shop"]  # fmt: skip


@pytest.fixture
def api_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterServer]:
    """Return a cluster with two namespaces, which the context `fake` of the kubeconfig leads to."""
    with ClusterServer(Objects(namespaces=("shops", "meshes"))) as server:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", server.url)))
        yield server


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Return a shop with two models and two clusters, as the working directory of this process."""
    shop = copied(built_once(tmp_path_factory, "two-models", two_models)[0], tmp_path)
    for tag in ("one", "two"):  # the settings of a commit are those in force
        shop.repository.git("checkout", "--quiet", tag)
        shop.repository.write("leverframe.yaml", shop.repository.read("leverframe.yaml").rstrip() + CLUSTER)
        shop.replace("leverframe.yaml", "verify_seconds: 0.5", "verify_seconds: 0.1")
        shop.repository.commit(f"{tag}, in clusters")
        shop.repository.git("tag", "--force", tag)
    monkeypatch.chdir(shop.root)
    for name, value in shop.repository.environment.items():
        monkeypatch.setenv(name, value)
    return shop


def deploy(commit: str, environment: str = "cluster", *, again: bool = False) -> Any:
    """Deploy a commit and return what came of it."""
    return application.deploy(wiring.workspace(), application.DeployOptions(environment, commit, again), print)


def reasons(failure: Any) -> list[str]:
    """Return the reasons of a failure."""
    return [violation.reason.value for violation in failure.violations]


def bundle_of(commit: str) -> str:
    """Return the bundle that a commit wants."""
    asked = application.DeployOptions("cluster", commit)
    return application._candidate(wiring.workspace(), asked, print)[1].manifest.bundle


KEY = ("Deployment", "shops", "shop")


def test_releases_roll_out_and_back(shop: Shop, api_server: ClusterServer) -> None:
    """Dry first, then for real, then nothing to do; the next release, and back by its manifests."""
    dry = shop.run("deploy", "--environment", "cluster", "--commit", "one", "--dry-run", "--json")
    assert dry.code == 0, dry.stderr
    plan = json.loads(dry.stdout)
    assert len(plan["manifests"]) == 6
    assert not [call for call in api_server.calls if call.startswith("PATCH") and not call.endswith("dry")]
    first = shop.run("deploy", "--environment", "cluster", "--commit", "one", "--json")
    assert first.code == 0, first.stderr
    assert [step["step"] for step in json.loads(first.stdout)["steps"]] == plan["steps"]
    live = api_server.objects.get(KEY) or {}
    assert live["spec"]["template"]["spec"]["initContainers"][0]["args"][0] == "--remote"
    assert deploy("one").steps == ()
    assert shop.repository.git("tag", "--list", "shop#cluster#*").split() == ["shop#cluster#1"]
    second = deploy("two")
    assert (second.serving.number, second.before.number) == (2, 1)
    assert any("compare its schema" in step.step for step in second.steps)
    back = rollback(wiring.workspace(), "cluster", None, "a test", print)
    assert back.serving
    assert back.serving.number == 1
    kept = json.loads((shop.root / ".leverframe/levers/deploy.json").read_text(encoding="utf-8"))
    assert (kept["rolled_back"], kept["serving"]["number"], kept["before"]["number"]) == (True, 1, 2)
    assert kept["recorded"]["assignment"] == "shop#cluster#3"
    commits = [shop.repository.git("rev-parse", f"{name}^{{commit}}") for name in ("shop#cluster#3", "one")]
    assert commits[0] == commits[1]
    assert api_server.objects.served == [bundle_of("one"), bundle_of("two"), bundle_of("one")]
    assert reasons(deploy("two")) == ["refused-before"]
    assert reasons(rollback(wiring.workspace(), "cluster", None, "a test", print)) == ["nothing-to-restore"]
    assert deploy("two", again=True).serving.number == 3


@pytest.mark.deep
def test_what_somebody_changed_by_hand_is_mended(shop: Shop, api_server: ClusterServer) -> None:
    """A field that git does not have is found by a diff, and applied over; what was deleted comes back."""
    deploy("one")
    api_server.objects.edit(("Service", "shops", "shop"), {"spec": {"selector": {"app.kubernetes.io/name": "else"}}})
    assert deploy("one").serving.number == 1
    mended = api_server.objects.get(("Service", "shops", "shop")) or {}
    assert mended["spec"]["selector"]["app.kubernetes.io/name"] == "leverframe"
    api_server.objects.delete(KEY)
    assert deploy("one").serving.number == 1
    assert api_server.objects.get(KEY) is not None
    shop.repository.git("checkout", "--quiet", "one")
    shop.replace("leverframe.yaml", "sha256:aaaa", "sha256:bbbb")
    moved = deploy(shop.repository.commit("another image"))
    assert (moved.serving.number, len(moved.steps)) == (1, 6)  # another image is no other release


@pytest.mark.usefixtures("shop")
def test_a_rollout_that_fails_goes_back(api_server: ClusterServer) -> None:
    """Pods that serve stay; the reason is the pod's own; the bundle is not tried again unless asked."""
    deploy("one")
    api_server.objects.faults[bundle_of("two")] = "crash"
    failed = deploy("two")
    assert reasons(failed) == ["load-failed"]
    assert "golden row 0 is answered otherwise" in failed.violations[0].what
    assert (failed.serving.number, failed.rolled_back) == (1, True)
    assert api_server.objects.served == [bundle_of("one")]
    assert (api_server.objects.get(KEY) or {})["metadata"]["labels"][RELEASE] == "1"
    assert reasons(deploy("two")) == ["refused-before"]
    api_server.objects.faults[bundle_of("two")] = "restarts"
    assert reasons(deploy("two", again=True)) == ["verify-failed"]
    del api_server.objects.faults[bundle_of("two")]
    assert deploy("two", again=True).serving.number == 4


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("fault", ["no-node", "fetch"])
def test_what_is_not_the_bundles_fault_is_not_held_against_it(api_server: ClusterServer, fault: Any) -> None:
    """A cluster without room, a remote without the data: undone and said, and the next run tries again."""
    api_server.objects.faults[bundle_of("one")] = fault
    failed = deploy("one")
    assert reasons(failed) == ["load-failed"]
    assert {"no-node": "Insufficient cpu", "fetch": "the remote has no MANIFEST.json"}[fault] in failed.violations[
        0
    ].what
    assert failed.serving is None
    assert api_server.objects.get(KEY) is None  # it never served, so it is removed
    api_server.objects.faults.clear()
    assert deploy("one").serving.number == 1


@pytest.mark.deep
@pytest.mark.parametrize("step", by_day(["apply release", "watch its pods"], "watch its pods"))
def test_a_killed_deployment_is_run_again(shop: Shop, api_server: ClusterServer, step: str) -> None:
    """Killed at any step: the same number, the same manifests, and traffic moves once."""
    api_server.objects.patience = 2.0
    process = shop.start("leverframe", "deploy", "--environment", "cluster", "--commit", "one")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(step):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    api_server.objects.patience = 0.3
    assert deploy("one").serving.number == 1
    assert api_server.objects.served == [bundle_of("one")]
    assert (api_server.objects.get(KEY) or {})["metadata"]["generation"] <= 2  # the second is the autoscaler's


class KilledError(BaseException):
    """Ends a run where it stands: nothing between here and the top of the process catches it."""


def interrupted(commit: str, step: str, by: Callable[[], None]) -> None:
    """Deploy a commit and call ``by`` when a step begins; raise what comes of it."""

    def tell(line: str) -> None:
        if line.startswith(step):
            by()

    application.deploy(wiring.workspace(), application.DeployOptions("cluster", commit), tell)


def kill() -> None:
    """End the run."""
    raise KilledError


def unreachable(folder: Path) -> None:
    """Let the kubeconfig lead nowhere."""
    kubeconfig(folder / "kubeconfig", "http://127.0.0.1:9")


STEPS = ("fetch bundle", "compare its", "validate", "apply release", "roll release", "watch its pods",
         "record release")  # fmt: skip


def steps(*always: str) -> pytest.MarkDecorator:
    """Return each step: `test_deploy_cluster_target.py` has them all in memory, here some are left to the night."""
    return pytest.mark.parametrize("step", by_day(STEPS, *always))


@pytest.mark.usefixtures("shop")
@steps("apply release")
def test_a_run_that_ends_at_any_step_is_finished_by_the_next(api_server: ClusterServer, step: str) -> None:
    """Release 1 or 2 is what pods carry, the record names the last that was whole; the next run gets number 2 again."""
    deploy("one")
    with pytest.raises(KilledError):
        interrupted("two", step, kill)
    assert (api_server.objects.get(KEY) or {})["metadata"]["labels"][RELEASE] in ("1", "2")
    done = deploy("two")
    assert (done.serving.number, done.before.number, done.violations) == (2, 1, ())
    assert api_server.objects.served == [bundle_of("one"), bundle_of("two")]
    assert deploy("two").steps == ()


@pytest.mark.usefixtures("shop")
@steps("record release")
def test_a_cluster_that_goes_away_at_any_step_is_mended_by_the_next_run(
    api_server: ClusterServer, tmp_path: Path, step: str
) -> None:
    """Nothing is known of the bundle then, so nothing is held against it, and nothing is recorded."""
    deploy("one")
    with pytest.raises(ClusterUnreachableError):
        interrupted("two", step, lambda: unreachable(tmp_path))
    kubeconfig(tmp_path / "kubeconfig", api_server.url)
    assert deploy("two").serving.number == 2
    assert api_server.objects.served == [bundle_of("one"), bundle_of("two")]


@pytest.mark.deep
def test_a_note_of_another_commit_that_is_cut_off_is_written_by_the_next_run(
    shop: Shop, api_server: ClusterServer
) -> None:
    """The bundle serves already: no pod moves, whether the note was written or not."""
    deploy("one")
    shop.repository.git("checkout", "--quiet", "one")
    (shop.root / "notes.txt").write_text("nothing that a model is made of")
    later = shop.repository.commit("another commit, the same bundle")
    with pytest.raises(KilledError):
        interrupted(later, "note that", kill)
    assert [step.step[:9] for step in deploy(later).steps] == ["note that"]
    assert deploy(later).serving.manifest.commit == later
    assert api_server.objects.served == [bundle_of("one")]


@pytest.mark.usefixtures("shop")
@pytest.mark.deep
def test_an_undo_that_is_cut_off_is_done_by_the_next_run(api_server: ClusterServer) -> None:
    """The bundle is at fault and the run ends before the pods of release 1 are back: the next run fails, and undoes."""
    deploy("one")
    api_server.objects.faults[bundle_of("two")] = "crash"
    with pytest.raises(KilledError):
        interrupted("two", "undo: ", kill)
    assert (api_server.objects.get(KEY) or {})["metadata"]["labels"][RELEASE] == "2"
    assert reasons(deploy("two")) == ["load-failed"]
    assert (api_server.objects.get(KEY) or {})["metadata"]["labels"][RELEASE] == "1"
    assert api_server.objects.served == [bundle_of("one")]


@pytest.mark.usefixtures("shop")
@pytest.mark.deep
def test_a_rollback_that_is_cut_off_is_finished_by_the_next_run(api_server: ClusterServer) -> None:
    """It was recorded and not applied: whoever wants the bundle that was left is refused, and the pods go back."""
    deploy("one")
    deploy("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kubectl, "rolled_out", lambda *_: kill())
        with pytest.raises(KilledError):
            rollback(wiring.workspace(), "cluster", None, "a test", print)
    api_server.objects.edit(KEY, {"metadata": {"labels": {RELEASE: "2"}, "annotations": {BUNDLE: bundle_of("two")}}})
    refused = deploy("two")
    assert (reasons(refused), refused.serving.number) == (["refused-before"], 1)
    assert [step.step for step in refused.steps] == ["undo: apply the manifests of release 1 again"]
    assert (api_server.objects.get(KEY) or {})["metadata"]["annotations"][BUNDLE] == bundle_of("one")
    assert deploy("one").steps == ()


@pytest.mark.usefixtures("shop")
@pytest.mark.deep
def test_of_two_deployments_at_once_the_later_is_told(api_server: ClusterServer) -> None:
    """The record is written with the version that was read."""
    deploy("one")
    record, real = ("ConfigMap", "shops", "shop-releases"), Kubectl.rolled_out

    def meanwhile(self: Kubectl, name: str, seconds: int) -> str:
        api_server.objects.edit(record, {"metadata": {"labels": {"somebody": "else"}}})
        return real(self, name, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kubectl, "rolled_out", meanwhile)
        with pytest.raises(ServerBusyError):
            deploy("two")
    assert deploy("two").serving.number == 2


def test_a_cluster_that_refuses_or_is_away_is_one_error(shop: Shop, api_server: ClusterServer, tmp_path: Path) -> None:
    """Nothing is changed, and what kubectl says is kept."""
    api_server.objects.refuse["Deployment"] = "policy says no"
    with pytest.raises(ClusterError, match="kubectl apply") as caught:
        deploy("one")
    assert "policy says no" in caught.value.why
    assert not [call for call in api_server.calls if call.startswith("PATCH") and not call.endswith("dry")]
    api_server.objects.refuse.clear()
    api_server.objects.namespaces = ()
    with pytest.raises(ClusterError) as caught:
        deploy("one")
    assert 'namespaces "shops" not found' in caught.value.why
    kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9")
    with pytest.raises(ClusterUnreachableError, match="does not answer"):
        deploy("one")
    ended = shop.run("deploy", "--environment", "cluster", "--commit", "one", "--dry-run")
    assert (ended.code, ended.error()[0]) == (38, "the cluster of context `fake` does not answer")
    assert shop.run("deploy", "--environment", "local", "--target", "kubernetes").code == 10


@pytest.mark.deep
def test_kserve_takes_what_the_cluster_before_serves(shop: Shop, api_server: ClusterServer) -> None:
    """Promotion across clusters compares records; the Deployment that KServe makes is what is waited for."""
    assert shop.run("deploy", "--environment", "mesh", "--commit", "one").code == 32
    deploy("one")
    deployment = deploy("one", "mesh")
    assert deployment.serving.number == 1
    made = api_server.objects.get(("Deployment", "meshes", "shop-predictor")) or {}
    assert made["spec"]["template"]["metadata"]["annotations"][BUNDLE] == deployment.serving.bundle
    assert deploy("one", "mesh").steps == ()


def test_nothing_secret_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What kubectl says of credentials is blotted out."""
    program = tmp_path / "kubectl"
    program.write_text(
        "#!/bin/sh\necho 'error: Bearer abc.def failed for https://me:word@x token=t0k password: pw' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(ClusterError) as caught:
        Kubectl("c", "n").get("Deployment", "x")
    assert not [secret for secret in ("abc.def", "word@", "t0k", "pw") if secret in caught.value.why]
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(ClusterError, match="no `kubectl` on PATH"):
        Kubectl("c", "n").get("Deployment", "x")


def test_the_package_builds_by_itself() -> None:
    """Who has an overlay of their own can lay it over the same base."""
    with tempfile.TemporaryDirectory() as place:
        for name in ("base", "kserve", "monitor"):
            shutil.copytree(Path(__file__).parents[2] / "src/leverframe/kubernetes" / name, Path(place, name))
            text = Kubectl("c", "n")._run("kustomize", str(Path(place, name)))
            assert list(yaml.safe_load_all(text))
