"""What a person reads of the pull requests of the demo, and of what went live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shown:
    """One pull request as it ended: its page, and the file that keeps a copy of it."""

    number: int
    title: str
    verdict: str
    address: str
    copy: str


@dataclass(frozen=True)
class Released:
    """One deployment: what was deployed, what serves now, and what stood against it."""

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
            sum(each["seconds"] for each in report["steps"]),
            f"{wrong[0]['reason']}: {wrong[0]['what']}" if wrong else "",
            report["rolled_back"],
            recorded.get("revert", ""),
        )

    def line(self) -> str:
        """Return it in one line."""
        if not self.against:
            return f"{self.verdict}: release {self.number} serves, {self.version}, after {self.seconds:.1f} s"
        back = f"; release {self.number} answers again" if self.rolled_back else ""
        return f"{self.verdict}: {self.against}{back}"


@dataclass(frozen=True)
class Live:
    """What went live, in its order, while clients asked: a request with its answer, how many, how long in ms."""

    released: tuple[Released, ...]
    request: Mapping[str, Any]
    answer: Mapping[str, Any]
    requests: int
    failed: int
    p50: float
    p99: float
    tags: tuple[str, ...]
    address: str

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        told = []
        for each in self.released:
            told += [f"  {each.verdict:<7} {each.what}", f"          {each.line().partition(': ')[2]}"]
            told += [f"          {each.revert}"] if each.revert else []
        return [
            "",
            "Merging is deploying, on a real MLServer",
            *told,
            "",
            "Traffic meanwhile",
            f"  {self.requests:,} requests by entity keys, {self.failed} failed; "
            f"{self.p50:.0f} ms in the middle, {self.p99:.0f} ms at the 99th percentile",
            f"  asked     {_inputs(self.request)}",
            f"  answered  {_outputs(self.answer)}",
            f"  tags      {', '.join(self.tags)}",
            f"  {self.address}",
        ]


@dataclass(frozen=True)
class Showing:
    """All that the demo shows after the pipeline."""

    pulls: tuple[Shown, ...]
    live: Live | None = None

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        told = [
            line
            for each in self.pulls
            for line in (f"  {each.verdict:<7} {each.title}", f"          {each.address}", f"          {each.copy}")
        ]
        return ["", "Pull requests, on the local forge", *told, *(self.live.lines() if self.live else [])]


def _inputs(request: Mapping[str, Any]) -> str:
    return ", ".join(f"{each['name']} {each['data'][0]}" for each in request["inputs"])


def _outputs(answer: Mapping[str, Any]) -> str:
    told = [f"{each['name']} {_short(each['data'][0])}" for each in answer["outputs"]]
    return f"{', '.join(told)} by release {answer['model_version']} of commit {answer['parameters']['commit'][:12]}"


def _short(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
