"""`kubectl`, called for one context and one namespace: Leverframe talks to a cluster in no other way."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leverframe.errors import ClusterError, ClusterUnreachableError, ServerBusyError
from leverframe.redaction import redacted, without_forge
from leverframe.yaml_files import documents

MANAGER = "leverframe"  # field manager: the cluster knows which fields are ours
_REQUEST = 30  # seconds for one request to the API server
_CALL = 180.0  # seconds for one call of kubectl, which asks more than once
_UNREACHABLE = re.compile(
    r"(?i)unable to connect|connection refused|no such host|i/o timeout|deadline exceeded|TLS handshake|"
    r"service unavailable|too many requests|internal error|EOF$|was refused|etcdserver"
)
_LOG = re.compile(r'^[EF]\d{4} .*?\] ("command failed" err=<?)?')  # how kubectl begins what it did not foresee
_CONFLICT = re.compile(r"(?i)\(Conflict\)|object has been modified")
_LATE = re.compile(r"(?i)timed out waiting|exceeded its progress deadline")


class Kubectl:
    """Reads and changes one namespace through the context of a kubeconfig; both are always named."""

    def __init__(self, context: str, namespace: str) -> None:
        self._context, self._namespace = context, namespace

    def render(self, overlay: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the objects that an overlay over the manifests of the package comes to; no cluster is needed."""
        with TemporaryDirectory(prefix="leverframe-") as place, as_file(files("leverframe") / "kubernetes") as package:
            for name in ("base", "kserve", "monitor"):
                shutil.copytree(package / name, Path(place, name))
            Path(place, "overlay").mkdir()
            Path(place, "overlay", "kustomization.yaml").write_text(json.dumps(overlay), encoding="utf-8")
            return documents(self._run("kustomize", str(Path(place, "overlay"))))

    def get(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """Return an object, None where there is none."""
        output = self._call("get", kind.lower(), name, "--ignore-not-found", "--output=json")
        content: Mapping[str, Any] | None = json.loads(output) if output.strip() else None
        return content

    def pods(self, selector: str) -> list[Mapping[str, Any]]:
        """Return the pods with those labels."""
        output = self._call("get", "pods", f"--selector={selector}", "--output=json")
        items: list[Mapping[str, Any]] = json.loads(output)["items"]
        return items

    def check(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """Let the API server validate the objects, admission included, without keeping them."""
        self._apply(objects, "--dry-run=server")

    def differs(self, objects: Sequence[Mapping[str, Any]]) -> bool:
        """Tell whether applying the objects would change anything that is ours."""
        words = ["diff", *_OURS, "--filename=-"]
        code, _, output = self._started([*words, *self._place()], _written(objects))
        if code not in (0, 1):
            raise self._error("diff", output)
        return code == 1

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """Apply the objects; raises ``ServerBusyError`` where one has another version than it was read with."""
        self._apply(objects)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object, if it is there."""
        self._call("delete", kind.lower(), name, "--ignore-not-found", "--wait=false")

    def rolled_out(self, deployment: str, seconds: int) -> str:
        """Wait until a Deployment is rolled out; return why it is not.

        ``seconds`` without progress end it, by the Deployment's own deadline; ten times as many end it anyhow.
        """
        words = ["rollout", "status", f"deployment/{deployment}", "--watch", f"--timeout={seconds * 10}s"]
        code, _, output = self._started([*words, *self._place(), "--request-timeout=0"], timeout=seconds * 10.0 + _CALL)
        if code == 0:
            return ""
        if not _LATE.search(output):
            raise self._error("rollout status", output)
        return _last(output)

    def _apply(self, objects: Sequence[Mapping[str, Any]], *more: str) -> None:
        self._call("apply", *_OURS, *more, "--output=name", "--filename=-", given=_written(objects))

    def _call(self, *words: str, given: str = "") -> str:
        return self._run(*words, *self._place(), f"--request-timeout={_REQUEST}s", given=given)

    def _place(self) -> list[str]:
        return [f"--context={self._context}", f"--namespace={self._namespace}"]

    def _run(self, *words: str, given: str = "") -> str:
        code, out, output = self._started(words, given)
        if code:
            raise self._error(words[0], output)
        return out

    def _started(self, words: Sequence[str], given: str = "", timeout: float = _CALL) -> tuple[int, str, str]:
        program = shutil.which("kubectl")
        if program is None:
            raise ClusterError(
                "there is no `kubectl` on PATH",
                why="Leverframe talks to the cluster through it",
                next="install it, 1.30 or newer",
            )
        try:
            done = subprocess.run(
                [program, *words],
                env=without_forge(os.environ),
                input=given,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 1, "", f"kubectl did not end within {timeout:.0f} seconds: i/o timeout"
        except OSError as error:
            raise ClusterError("`kubectl` cannot be started", why=str(error), next="install it again") from error
        return done.returncode, done.stdout, done.stderr

    def _error(self, verb: str, output: str) -> ClusterError | ServerBusyError:
        why = _last(output)
        if _CONFLICT.search(output):
            return ServerBusyError(
                "another deployment to this cluster was quicker", why=why, next="run the same command again"
            )
        if _UNREACHABLE.search(output):
            return ClusterUnreachableError(
                f"the cluster of context `{self._context}` does not answer",
                why=why,
                next="check the network and the kubeconfig, then run the same command again",
            )
        return ClusterError(
            f"`kubectl {verb}` failed",
            why=why,
            next=f"fix what it names; `kubectl --context {self._context} --namespace {self._namespace}` "
            "talks to the same namespace",
        )


_OURS = ("--server-side", f"--field-manager={MANAGER}", "--force-conflicts")


def _written(objects: Sequence[Mapping[str, Any]]) -> str:
    """Return objects as one stream; in a `List`, kubectl would not let the server check the fields of each."""
    return "".join(f"{json.dumps(manifest)}\n" for manifest in objects)


def _last(output: str) -> str:
    """Return the error that kubectl printed, else its output, on one line and without what may be secret."""
    lines = [_LOG.sub("", line).strip() for line in output.splitlines() if line.strip(" >")]
    errors = [line for line in lines if line.lower().startswith(("error", "the "))]
    return redacted("; ".join(errors or lines))[:400] or "it printed nothing"
