"""The loop of the demo: partitions one after the other, each step a command as the workflow runs it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from leverframe.adapters.polars import PolarsTables
from leverframe.demo.declared import Loop
from leverframe.demo.live import MACHINE, push_slow
from leverframe.demo.loop_traffic import Rows, logged, one, sent, write_labels
from leverframe.demo.provisioned import Provisioned
from leverframe.demo.pulls import judged
from leverframe.demo.scene import NAME, Scene, heading, page, replaced
from leverframe.demo.showing import Looped, Released
from leverframe.demo.timeline import Timeline
from leverframe.domain import layout
from leverframe.domain.partition import Partition
from leverframe.errors import ContractError, PipelineError
from leverframe.local.github.pages import issue_page
from leverframe.local.github.state import PullRequest
from leverframe.local.repository import TemporaryRepository
from leverframe.local.traffic import Times, Traffic
from leverframe.settings.levers import Levers, levers_of
from leverframe.settings.params import Params, params_of
from leverframe.words import first_line
from leverframe.yaml_files import parse, with_values

_START, _END = "start", "end"
_LABELS = layout.PRIVATE / "labels"
_DAY = timedelta(days=1)


@contextmanager
def looped(scene: Scene, plan: Loop, partitions: Sequence[str]) -> Iterator[Looped]:
    """Let main's model serve, and let partitions pass; server and forge are up until the block ends."""
    director = _Director(scene, plan)
    try:
        director.start()
        for key in partitions:
            director.passed(key)
        yield director.result()
    finally:
        director.end()


class _Director:
    """What happens to main, to the machine with the server, and to the forge."""

    def __init__(self, scene: Scene, plan: Loop) -> None:
        self._scene, self._plan = scene, plan
        self._line = Timeline(scene.tell)
        main = scene.clone("author", "main")
        replaced(main, "params.yaml", plan.params, "`loop.params`")
        replaced(main, "leverframe.yaml", plan.levers, "`loop.levers`")
        with self._line.step(_START, "train") as step:
            scene.leverframe(main, "stages", "--write")
            main.dvc("checkout", "--quiet", "--allow-missing")
            self._forget_later(main)
            main.dvc("repro", "--quiet")
            main.commit("Begin with the first months")
            scene.push(main, "main")
            self._params, self._levers = _settings(main)
            split = self._params.features
            step.outcome = f"main learns from {split.train.first} to {split.train.last}"
        self.machine = scene.clone(MACHINE, "main")
        self.machine.dvc("checkout", "--quiet", "--allow-missing")
        self._lend_earlier()
        self._port, self._example = 0, b""
        self._infra: Provisioned | None = None

    def _forget_later(self, main: TemporaryRepository) -> None:
        """Remove the reports of partitions that are yet to come: the newest one says how the tables are."""
        last = Partition.of(_settings(main)[0].data.last)
        later = [group for group in self._scene.workspace.partitions.groups() if group.begins > last.begins]
        for path in [path for group in later for path in (main.root / layout.REPORTS).rglob(f"{group}.json")]:
            path.unlink()

    def start(self) -> None:
        """Apply the infrastructure of the server, where it is declared, and deploy main."""
        if self._plan.environment in self._levers.infra.environments:
            self._provisioned(Provisioned(self._scene, self.machine, self._plan.environment))
        with self._line.step(_START, "deploy") as step:
            step.outcome = self._deployed().line()
            status = self._scene.json(self.machine, "serve", "--status", "--name", self._plan.environment)
            self._port = status["running"]["port"]

    def end(self) -> None:
        """End the server, and what Terraform made with it."""
        try:
            if self._infra is not None:
                with self._line.step(_END, "infra") as step:
                    step.outcome = self._infra.destroyed()
                self._write_timeline()
        finally:
            self._scene.leverframe(self.machine, "serve", "--stop", "--name", self._plan.environment)

    def _provisioned(self, infra: Provisioned) -> None:
        with self._line.step(_START, "infra") as step:
            applied, step.outcome = infra.created()
            self._infra = infra if applied else None

    def passed(self, key: str) -> None:
        """Let one partition pass: its data and traffic, what the monitor finds, and what follows from it."""
        plan, end = self._plan, Partition.of(key).plus(1).start(self._params.data.timezone).astimezone(UTC)
        fault = plan.fault if plan.fault and plan.fault.partition == key else None
        wish = plan.wish if plan.wish and plan.wish.partition == key else None
        if fault:
            self._pushed(key, f"{self._case}/{fault.file}", fault.replace, fault.title, "`loop.fault`")
        if wish:
            self._pushed(key, "leverframe.yaml", wish.replace, wish.title, "`loop.wish`")
        self._tables(key)
        self._traffic(key, end, built=fault is not None)
        self._monitored(key, end)
        self._retrained(key, end + self._delay, forced=wish is not None)
        if fault:
            self._reverted(key)
        if plan.slow and plan.slow.partition == key:
            self._slowed(key, plan.slow.size)
        if plan.outage and plan.outage.partition == key and self._infra:
            self._healed(key, self._infra)

    def _lend_earlier(self) -> None:
        """Let the machine have the tables of partitions that are skipped: contracts compare with those before."""
        here, there = (root / layout.RAW for root in (self._scene.workspace.root, self.machine.root))
        for path in here.rglob("*.parquet"):
            target = there / path.relative_to(here)
            if not target.exists():  # one that is there may be a link into the cache
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)

    @property
    def _case(self) -> str:
        return self._scene.workspace.case.relative_to(self._scene.workspace.root).as_posix()

    @property
    def _delay(self) -> timedelta:
        return max(_DAY, timedelta(days=self._levers.monitor.performance.label_delay_days))

    def _pushed(self, key: str, file: str, texts: dict[str, str], title: str, where: str) -> None:
        """Push a change to main without a pull request."""
        with self._line.step(key, "push") as step:
            author = self._scene.clone(f"author-{key}", "main")
            replaced(author, file, texts, where)
            author.commit(title)
            self._scene.push(author, "main")
            step.outcome = f"a person pushes to main: {title}"

    def _slowed(self, key: str, size: int) -> None:
        """Push a slow model to main, which is refused, and merge the pull request that reverts it."""
        known = set(self._scene.forge.pulls)
        with self._line.step(key, "push") as step:
            push_slow(self._scene, size)
            step.outcome = "a person pushes to main: A faster model"
        self._update()
        self._deployment(key)
        for number in sorted(set(self._scene.forge.pulls) - known):
            self._taken(key, self._scene.forge.pulls[number])

    def _healed(self, key: str, infra: Provisioned) -> None:
        """Let the server be killed, and Terraform start it again, with the model that was deployed to it."""
        with self._line.step(key, "infra") as step:
            self._port, step.outcome = infra.healed(self._path, self._example)

    @property
    def _path(self) -> str:
        return f"/v2/models/{self._params.bundle.model}/infer"

    def _reverted(self, key: str) -> None:
        """Revert what was pushed last, and check the tables again."""
        with self._line.step(key, "revert") as step:
            author = self._scene.clone(f"author-{key}-back", "main")
            author.git("revert", "--no-edit", "HEAD")
            self._scene.push(author, "main")
            step.outcome = "a person reverts the push"
        self._tables(key)

    def _tables(self, key: str) -> None:
        """Let the tables of a partition arrive beside the server, and check their contracts."""
        with self._line.step(key, "validate") as step:
            self._update()
            for command in ("ingest", "validate"):
                stdout = self._scene.leverframe(
                    self.machine, command, "--partition", key, "--through", key, refused=(ContractError.exit_code,)
                )
            step.outcome = first_line(stdout)

    def _traffic(self, key: str, end: datetime, *, built: bool) -> None:
        """Send the rows of a partition to the server, and let their labels arrive."""
        with self._line.step(key, "traffic") as step:
            root, label = self._scene.workspace.root, self._params.features.label
            if built:
                root = self._built(key)
            table, zone = PolarsTables(root).read(layout.features(key)), self._params.data.timezone
            rows = Rows.of(table, until=end, timezone=zone, daily=self._plan.rows)
            traffic = sent(self._port, self._params.bundle.model, rows, key)
            step.outcome = str(traffic)
            self._example = one(self._port, self._params.bundle.model, rows)
            write_labels(self.machine.root / _LABELS / f"{key}.csv", rows, key, label)
            log = self.machine.root / layout.PRIVATE / "servers" / self._plan.environment / "log"
            logged(log, key, traffic.requests - traffic.failed)

    def _built(self, key: str) -> Path:
        """Build the features of a partition by what main says, and return the root that has them."""
        moved = with_values(self.machine.read("params.yaml"), {"data.last": key}, name="params.yaml")
        self.machine.write("params.yaml", moved)
        self._scene.leverframe(self.machine, "build", "--partition", key)
        self._update()
        return self.machine.root

    def _monitored(self, key: str, end: datetime) -> None:
        with self._line.step(key, "monitor") as step:
            result = self._scene.json(self.machine, "monitor", "--as-of", end.isoformat())
            open_findings = [finding for finding in result["findings"] if not finding["explained_by"]]
            grave = [finding for finding in open_findings if finding["severity"] != "info"]
            step.outcome = f"{result['verdict']}: {grave[0]['what'].rstrip('.') if grave else 'nothing changed'}"

    def _retrained(self, key: str, now: datetime, *, forced: bool) -> None:
        with self._line.step(key, "retrain") as step:
            asked = ["--as-of", now.isoformat(), *(["--force"] if forced else [])]
            result = self._scene.json(self.machine, "retrain", *asked)
            attempt, waiting = result["attempt"], result["waiting"]
            step.outcome = f"{attempt['outcome']}: {attempt['why']}" if attempt else f"none: {waiting['why']}"
            opened = next((pull for pull in result["proposals"] if pull["state"] in ("ready", "draft")), None)
        if opened:
            self._merged(key, opened)

    def _merged(self, key: str, opened: dict[str, Any]) -> None:
        """Run the checks of the pull request of a candidate, merge it where they pass, and deploy it under traffic."""
        pull = self._scene.forge.pulls[opened["number"]]
        with self._line.step(key, "card") as step:
            verdict = judged(self._scene, pull)
            step.outcome = f"{verdict}: {heading(pull)}"
            step.link = page(self._scene, pull, f"pull-{pull.number}").name
        if opened["state"] != "ready" or verdict != "passed":
            return
        self._taken(key, pull)

    def _taken(self, key: str, pull: PullRequest) -> None:
        """Merge a pull request, and deploy main."""
        with self._line.step(key, "merge") as step:
            if not self._scene.forge.merge(pull):
                raise PipelineError(
                    f"#{pull.number} cannot be merged", why="git found a conflict", next="check demo.yaml of the case"
                )
            step.outcome = f"a person merges {heading(pull)}"
        self._update()
        self._deployment(key)

    def _deployment(self, key: str) -> None:
        """Deploy what is checked out, under traffic."""
        with self._line.step(key, "deploy") as step:
            traffic = Traffic(self._port, self._path, self._example, clients=2)
            with traffic.running():
                released = self._deployed()
            took = Times.of(traffic.responses)
            step.outcome = f"{released.line()}; {took.requests:,} requests meanwhile, {len(traffic.failed)} failed"

    def _update(self) -> None:
        """Check main out beside the server, as a job on that machine does; files of a partition may be in the way."""
        self.machine.git("fetch", "--quiet", "--tags", "--force", "origin", "main")
        self.machine.git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")

    def _deployed(self) -> Released:
        report = self._scene.json(self.machine, "deploy", "--environment", self._plan.environment)
        return Released.of("main", report)

    def result(self) -> Looped:
        """Store copies of pages, and return the results."""
        scene, forge = self._scene, self._scene.forge
        address, pages = f"{scene.server.address}/{NAME}", list[tuple[str, str]]()
        for pull in forge.pulls.values():
            page(scene, pull, f"pull-{pull.number}")
            pages.append((heading(pull), f"{address}/pull/{pull.number}"))
        for issue in forge.issues.values():
            (scene.folder / f"issue-{issue.number}.html").write_text(issue_page(issue), encoding="utf-8")
            pages.append((heading(issue), f"{address}/issues/{issue.number}"))
        dashboard = self.machine.root / layout.MONITOR / self._plan.environment / "dashboard.html"
        shutil.copy(dashboard, scene.folder / "dashboard.html")
        self._write_timeline()
        pages += [(name, str(scene.folder / f"{name}.html")) for name in ("dashboard", "timeline")]
        return Looped(tuple(self._line.steps), tuple(pages))

    def _write_timeline(self) -> None:
        (self._scene.folder / "timeline.html").write_text(self._line.page("The loop"), encoding="utf-8")


def _settings(main: TemporaryRepository) -> tuple[Params, Levers]:
    params = parse(main.read("params.yaml"), name="params.yaml", what="settings file")
    return params_of(params, name="params.yaml"), levers_of(main.read("leverframe.yaml"), name="leverframe.yaml")
