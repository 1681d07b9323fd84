"""How manifests are held to the descriptions of what takes them: strictly, and without a kind that nobody knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
from hypothesis import strategies as st

from leverframe.domain.release.kubernetes.manifests import ClusterRelease
from leverframe.settings.levers import KubernetesSettings, LogSettings, ServeSettings

_KSERVE = json.loads((Path(__file__).parent / "schemas/kserve.json").read_text(encoding="utf-8"))
_OF_PODS = ("containers", "initContainers", "volumes", "securityContext", "serviceAccountName", "enableServiceLinks",
            "automountServiceAccountToken", "terminationGracePeriodSeconds")  # fmt: skip


def fits(manifest: Mapping[str, Any], version: str = "1.37.0") -> None:
    """Fail for a field that its kind does not have, or a kind that neither description knows.

    The parts of pods inside a kind of KServe are held to the description of pods.
    """
    kind = manifest["kind"]
    if kind not in _KSERVE:
        _strictly(manifest, version)
        return
    schema = {**_KSERVE[kind], "definitions": _KSERVE["definitions"]}
    wrong = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(manifest))
    assert wrong is None, f"{kind}: {wrong.message if wrong else ''}"
    spec = manifest["spec"].get("predictor", manifest["spec"])
    pod = {"containers": [{"name": "server", "image": "x"}], **{name: spec[name] for name in _OF_PODS if name in spec}}
    _strictly({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}, version)


def _strictly(manifest: Mapping[str, Any], version: str) -> None:
    kind = manifest["kind"]
    try:
        kubernetes_validate.validate(dict(manifest), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        raise AssertionError(f"{kind}: {error.message}") from error
    except kubernetes_validate.SchemaNotFoundError as error:  # of which the command only warns
        raise AssertionError(f"nobody describes {kind}") from error


JOB_IMAGE = "registry.example.org:5000/ml/monitor@sha256:" + "c" * 64
IMAGE = "registry.example.org:5000/ml/leverframe@sha256:" + "a" * 64


def cluster(**changes: Any) -> KubernetesSettings:
    """Return the settings of a cluster, with those that matter to a test."""
    content = {
        "context": "fake",
        "namespace": "shops",
        "image": IMAGE,
        "remote": "https://data.example.org/storage",
    }
    return KubernetesSettings.model_validate({**content, **changes})


def target(settings: KubernetesSettings | None = None, **changes: Any) -> ClusterRelease:
    """Return a release of the shop as it should be in a cluster."""
    content = {"model": "shop", "number": 3, "bundle": "b" * 64, "content": "c" * 32 + ".dir", "commit": "d" * 40}
    return ClusterRelease(**{**content, "cluster": settings or cluster(), "serve": ServeSettings(), **changes})


def _targets() -> st.SearchStrategy[ClusterRelease]:
    """Return any release that the settings allow."""
    name = st.from_regex(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", fullmatch=True)
    namespace = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
    least = st.integers(1, 1000)
    settings = st.fixed_dictionaries(
        {
            "flavour": st.sampled_from(["deployment", "kserve"]),
            "namespace": namespace,
            "name": st.none() | name,
            "image": st.from_regex(
                r"[a-z0-9][a-z0-9.-]{0,20}(:[0-9]{1,4})?(/[a-z0-9]{1,5}){1,3}@sha256:[0-9a-f]{64}", fullmatch=True
            ),
            "remote": st.sampled_from(["https://x/y", "http://data:8000/a%20b", "s3://bucket/p", "gs://b", "ssh://h:22/p"]),
            "replicas": st.tuples(least, least).map(lambda pair: {"minimum": min(pair), "maximum": max(pair)}),
            "memory": st.from_regex(r"[1-9][0-9]{0,3}(Mi|Gi)", fullmatch=True),
            "clients": st.lists(namespace, max_size=3),
            "secret": st.none() | namespace,
            "log_claim": st.none() | namespace,
            "service_account": st.dictionaries(
                st.from_regex(r"([a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?/)?[A-Z0-9][A-Za-z0-9_.-]{0,9}x", fullmatch=True),
                st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
                max_size=2,
            ),
            "timeout_seconds": st.integers(60, 7200),
            "monitor": st.none() | st.fixed_dictionaries(
                {"image": st.just(JOB_IMAGE), "repository": st.sampled_from(["https://x/y.git", "http://forge:3000/a%20b"]),
                 "secret": st.none() | namespace, "schedule": st.sampled_from(["7 4 * * *", "*/30 0-5 1,15 * MON-FRI"])}
            ),
        }
    ).map(lambda values: values if values["log_claim"] else {**values, "monitor": None})  # fmt: skip
    serve = st.builds(
        lambda deny, share, size: ServeSettings(maximum_bytes=size, log=LogSettings(share=share, deny=deny)),
        st.lists(st.text(max_size=8), max_size=3), st.floats(0, 1), st.integers(1024, 10**9),
    )  # fmt: skip
    digits = st.text("0123456789abcdef", min_size=64, max_size=64)
    return st.builds(
        lambda model, values, serve, number, digest: target(
            cluster(**values), model=model, serve=serve, number=number, bundle=digest, content=digest[:32] + ".dir"
        ),
        name, settings, serve, st.integers(1, 10**6), digits,
    )  # fmt: skip


TARGETS = _targets()
