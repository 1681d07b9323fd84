"""Start a machine for one job of this repository, and end it.

`runner.py start` refuses forks, asks GitHub for the configuration of a runner that takes one job (just in time: no
registration token is kept anywhere), starts a machine from a launch template of the module `github_runners`, and
waits until the runner is online. `runner.py stop` ends both. It needs Python and the AWS CLI, as GitHub's own
runners have them, and the token of a GitHub App with `administration: write` as RUNNER_TOKEN.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

BOOTSTRAP = Path(__file__).with_name("bootstrap.sh")
FULL = ("InsufficientInstanceCapacity", "SpotMaxPriceTooLow", "MaxSpotInstanceCountExceeded", "Unsupported")


class RunnerError(Exception):
    """A machine cannot be started or ended; the text says why and what to do."""


def github(method: str, path: str, content: dict[str, Any] | None = None) -> Any:
    """Return what GitHub responds below the repository, None for nothing or nothing there; raises ``RunnerError``."""
    address = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}{path}"
    headers = {"Authorization": f"Bearer {os.environ['RUNNER_TOKEN']}", "Accept": "application/vnd.github+json",
               "X-GitHub-Api-Version": "2022-11-28"}  # fmt: skip
    body = json.dumps(content).encode() if content is not None else None
    request = urllib.request.Request(address, body, headers, method=method)  # noqa: S310 - GitHub's address
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        if error.code == 404 and method != "POST":
            return None
        raise RunnerError(f"GitHub refused {method} {path} with {error.code}; does the App have "
                          "`administration: write` for this repository?") from error  # fmt: skip
    except OSError as error:
        raise RunnerError(f"GitHub cannot be reached: {error}") from error


def aws(*words: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr of the AWS CLI."""
    try:
        done = subprocess.run(["aws", *words], capture_output=True, text=True, check=False)
    except OSError as error:
        raise RunnerError(f"the AWS CLI cannot be started: {error}") from error
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def commit_of(pull: str) -> str:
    """Return the commit to reproduce, empty for the branch of the workflow; raises ``RunnerError`` for a fork.

    Code of a fork is of people who may not write here: it runs on GitHub's machines alone.
    """
    own = os.environ["GITHUB_REPOSITORY"]
    repository = github("GET", "")
    if repository is None or repository.get("fork"):
        raise RunnerError(f"{own} is a fork or cannot be read: machines are for the repository itself")
    if not pull:
        return ""
    proposed = github("GET", f"/pulls/{int(pull)}") if pull.isdecimal() else None
    if proposed is None:
        raise RunnerError(f"there is no pull request {pull!r}")
    head = (proposed["head"].get("repo") or {}).get("full_name")
    if head != own:
        raise RunnerError(f"pull request {pull} comes from {head or 'a deleted fork'}: forks get no machine of ours")
    return str(proposed["head"]["sha"])


def user_data(jit: str, asked: argparse.Namespace) -> str:
    """Return the script that a machine runs at its start."""
    values = {"JIT": jit, "MINUTES": str(asked.minutes), "VERSION": asked.version, "SHA256": asked.sha256,
              "ARCH": asked.architecture}  # fmt: skip
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    return "\n".join(["#!/bin/bash", *lines, BOOTSTRAP.read_text(encoding="utf-8")])


def launched(asked: argparse.Namespace, script: str) -> str:
    """Return the id of a machine of the first type and zone that has room; raises ``RunnerError``."""
    refusals = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "user-data")
        file.touch(mode=0o600)
        file.write_text(script, encoding="utf-8")
        for kind in asked.types:
            for template in asked.templates:
                code, output, error = aws(
                    "ec2", "run-instances", "--launch-template", f"LaunchTemplateName={template}", "--instance-type",
                    kind, "--user-data", f"file://{file}", "--query", "Instances[0].InstanceId", "--output", "text",
                )  # fmt: skip
                if code == 0:
                    return output
                refusals.append(f"{kind} of {template}: {error.splitlines()[-1] if error else code}")
                if not any(word in error for word in FULL):
                    raise RunnerError(f"no machine: {refusals[-1]}")
    raise RunnerError("no zone has room; try again later, or name more types of machines: " + "; ".join(refusals))


def tell(name: str, value: object) -> None:
    """Write an output of the step."""
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"{name}={value}\n")


def start(asked: argparse.Namespace) -> None:
    """Start a machine whose runner takes one job; its id is told before anything may fail, for `stop`."""
    commit = commit_of(asked.pull)
    label = f"leverframe-{secrets.token_hex(8)}"  # nobody guesses it, so no other job gets this machine
    wanted = {"name": label, "runner_group_id": 1, "labels": ["self-hosted", label], "work_folder": "_work"}
    made = github("POST", "/actions/runners/generate-jitconfig", wanted)
    runner = made["runner"]["id"]
    print(f"::add-mask::{made['encoded_jit_config']}")
    try:
        instance = launched(asked, user_data(made["encoded_jit_config"], asked))
    except RunnerError:
        github("DELETE", f"/actions/runners/{runner}")
        raise
    for name, value in {"instance": instance, "runner": runner, "label": label, "commit": commit}.items():
        tell(name, value)
    end = time.monotonic() + asked.wait
    while (github("GET", f"/actions/runners/{runner}") or {}).get("status") != "online":
        if time.monotonic() > end:
            raise RunnerError(f"the runner of {instance} is not online after {asked.wait:.0f} s; its console says why")
        time.sleep(min(10.0, asked.wait / 10))
    print(f"{instance} waits for one job with the label {label}, at most {asked.minutes} minutes")


def stop(asked: argparse.Namespace) -> None:
    """End a machine and its registration, of which either may be gone already."""
    github("DELETE", f"/actions/runners/{int(asked.runner)}")
    code, _, error = aws("ec2", "terminate-instances", "--instance-ids", asked.instance)
    if code and "InvalidInstanceID.NotFound" not in error:
        raise RunnerError(f"{asked.instance} was not ended: {error}; it ends by itself after its minutes")
    print(f"{asked.instance} is ended")


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description="Start a machine for one job of this repository, and end it.")
    commands = parser.add_subparsers(required=True)
    new = commands.add_parser("start", help="start a machine and wait until its runner is online")
    new.set_defaults(run=start)
    new.add_argument("--templates", nargs="+", required=True, help="launch templates, as the output `pools` has them")
    new.add_argument("--types", nargs="+", required=True, help="types of machines in the order to try them")
    new.add_argument("--version", required=True, help="version of actions/runner, such as 2.330.0")
    new.add_argument("--sha256", required=True, help="SHA-256 of its archive, from the page of the release")
    new.add_argument("--architecture", choices=["x64", "arm64"], default="x64", help="of the machines")
    new.add_argument("--minutes", type=int, default=180, help="after which a machine ends in any case")
    new.add_argument("--wait", type=float, default=420, help="seconds until the runner has to be online")
    new.add_argument("--pull", default="", help="pull request to reproduce, never one of a fork")
    old = commands.add_parser("stop", help="end a machine and its registration")
    old.set_defaults(run=stop)
    old.add_argument("--instance", required=True, help="output `instance` of start")
    old.add_argument("--runner", required=True, help="output `runner` of start")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Do what was asked for; return 1 with the reason on stderr where it cannot be done."""
    asked = parsed(arguments)
    try:
        asked.run(asked)
    except (RunnerError, KeyError) as error:
        print(f"::error::{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
