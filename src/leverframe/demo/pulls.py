"""The pull requests of the demo: an author pushes a change, and the levers of the workflow run."""

from __future__ import annotations

import json

from leverframe.demo.declared import Change
from leverframe.demo.scene import NAME, Scene, page, replaced
from leverframe.demo.showing import Shown
from leverframe.local.github.events import pull_request_event
from leverframe.local.github.state import PullRequest
from leverframe.words import first_line

_LEVERS = ("check", "reproduce", "gate")


def opened(scene: Scene, branch: str, change: Change) -> Shown:
    """Open the pull request of a change, run the levers, and store a copy of its page."""
    scene.tell(f"pull request `{branch}`: {change.title}")
    author = scene.clone(branch, "main")
    replaced(author, "params.yaml", change.replace, f"branch `{branch}`")
    scene.tell("  the author runs `dvc repro`, commits and pushes")
    author.dvc("checkout", "--quiet", "--allow-missing")
    author.dvc("repro", "--quiet")
    author.commit(change.title)
    scene.push(author, branch)
    pull = scene.forge.open_pull(change.title, branch, author="ada")
    verdict = judged(scene, pull)
    copy = page(scene, pull, branch)
    return Shown(pull.number, change.title, verdict, f"{scene.server.address}/{NAME}/pull/{pull.number}", str(copy))


def judged(scene: Scene, pull: PullRequest) -> str:
    """Run the levers in a fresh checkout, as the workflow does, and return the verdict of the card."""
    job = scene.clone(f"job-{pull.number}", "main")
    job.git("fetch", "--quiet", "origin", f"refs/pull/{pull.number}/head")
    job.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    event = scene.folder / f"event-{pull.number}.json"
    event.write_text(json.dumps(pull_request_event(scene.forge, pull)), encoding="utf-8")
    run = {
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_RUN_ID": str(pull.number),
    }
    for lever in _LEVERS:
        output = scene.leverframe(job, lever, run=run)
        scene.tell(f"  {first_line(output).partition(':')[0]}")
    verdict = str(scene.json(job, "report", "--publisher", "github", run=run)["verdict"])
    scene.tell(f"  report posted: {verdict}")
    return verdict
