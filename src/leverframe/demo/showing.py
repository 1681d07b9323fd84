"""The results of the demo as text: pull requests and deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leverframe.demo.timeline import Step


@dataclass(frozen=True)
class Shown:
    """One pull request with its verdict, its page, and a copy of the page as a file."""

    number: int
    title: str
    verdict: str
    address: str
    copy: str


@dataclass(frozen=True)
class Released:
    """One deployment: what was deployed, what serves now, and the violation, if any."""

    what: str
    verdict: str
    number: int
    version: str
    seconds: float
    against: str
    rolled_back: bool
    revert: str

    @classmethod
    def of(cls, what: str, report: Mapping[str, Any]) -> Released:
        """Return it from the report of `leverframe deploy --json`."""
        wrong = report["violations"]
        recorded = report["recorded"] or {}
        return cls(
            what,
            report["verdict"],
            report["serving"]["number"],
            recorded.get("version", ""),
            sum(step["seconds"] for step in report["steps"]),
            f"{wrong[0]['reason']}: {wrong[0]['what']}" if wrong else "",
            report["rolled_back"],
            recorded.get("revert", ""),
        )

    def line(self) -> str:
        """Return it in one line."""
        if not self.against:
            return f"{self.verdict}: release {self.number} ({self.version}) serves after {self.seconds:.1f} s"
        back = f"; rolled back to release {self.number}" if self.rolled_back else ""
        return f"{self.verdict}: {self.against}{back}"


@dataclass(frozen=True)
class Live:
    """The deployments in order, and the traffic meanwhile: an example request, counts, response times in ms."""

    released: tuple[Released, ...]
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    requests: int
    failed: int
    p50: float
    p99: float
    tags: tuple[str, ...]
    address: str

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        lines = []
        for release in self.released:
            lines += [f"  {release.verdict:<7} {release.what}", f"          {release.line().partition(': ')[2]}"]
            lines += [f"          {release.revert}"] if release.revert else []
        return [
            "",
            "Deployments to a real MLServer",
            *lines,
            "",
            "Traffic during the deployments",
            f"  {self.requests:,} requests by entity keys, {self.failed} failed; "
            f"median {self.p50:.0f} ms, 99th percentile {self.p99:.0f} ms",
            f"  request   {_inputs(self.request)}",
            f"  response  {_outputs(self.response)}",
            f"  tags      {', '.join(self.tags)}",
            f"  {self.address}",
        ]


@dataclass(frozen=True)
class Looped:
    """The results of the loop: its steps, its pages as addresses and files, and the traffic during deployments."""

    steps: tuple[Step, ...]
    pages: tuple[tuple[str, str], ...]

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        lines, before = ["", "All that happened, partition by partition"], ""
        for step in self.steps:
            if step.partition != before:
                lines.append(step.partition)
                before = step.partition
            lines.append(f"  {step.name:<9} {step.outcome}")
        width = max(len(name) for name, _ in self.pages)
        return [*lines, "", "Pages", *(f"  {name:<{width}}  {address}" for name, address in self.pages)]


@dataclass(frozen=True)
class Showing:
    """The results of the demo after the pipeline."""

    pulls: tuple[Shown, ...]
    live: Live | None = None
    loop: Looped | None = None

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        pulls = [
            line
            for pull in self.pulls
            for line in (f"  {pull.verdict:<7} {pull.title}", f"          {pull.address}", f"          {pull.copy}")
        ]
        lines = ["", "Pull requests, on the local forge", *pulls] if pulls else []
        return [*lines, *(self.live.lines() if self.live else []), *(self.loop.lines() if self.loop else [])]


def _inputs(request: Mapping[str, Any]) -> str:
    return ", ".join(f"{tensor['name']} {tensor['data'][0]}" for tensor in request["inputs"])


def _outputs(response: Mapping[str, Any]) -> str:
    values = [f"{tensor['name']} {_short(tensor['data'][0])}" for tensor in response["outputs"]]
    return (
        f"{', '.join(values)} by release {response['model_version']} of commit {response['parameters']['commit'][:12]}"
    )


def _short(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
