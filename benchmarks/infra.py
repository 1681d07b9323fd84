"""What our layer costs over Terraform itself, and what a plan of 5,000 resources costs to read and to show.

``raw`` and ``ours`` do the same in alternating rounds, each in a new process whose imports are made before: `init`,
`plan` into a file, `show -json` of it and `apply`, on a root module of builtin resources. ``small`` has one, where the
start of a process counts most, ``usual`` has 200. The version of the program is asked once for a folder and a program,
so both sides begin after that. ``cpu`` is that of the processes together, which a busy machine does not change;
``wall`` counts what waits. ``parse`` reads the document of a plan that updates, replaces and destroys 5,000 resources
with twelve attributes each, a secret of its own among them; ``section`` makes its part of the card. They stand against
`json.loads` of it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.alternate import Measure, alternate, child, machine, measured, medians, met, ratio
from leverframe.adapters.terraform import TerraformTool
from leverframe.adapters.terraform.terraform_program import child_environment, program_path
from leverframe.domain.infrastructure.concealed import Concealer
from leverframe.domain.infrastructure.infra_plan import ToolVersion
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.infra_ports import Planning
from leverframe.domain.infrastructure.infra_section import infra_section
from leverframe.domain.infrastructure.plan_digest import digest_key
from leverframe.domain.infrastructure.plan_json import plan_document, read_plan
from leverframe.domain.infrastructure.sensitive_values import secrets_of_plan
from leverframe.settings.infra import InfraEnvironmentSettings

TARGETS = {
    "wall_vs_terraform_small": 1.1,
    "wall_vs_terraform_usual": 1.1,
    "cpu_vs_terraform_small": 1.1,
    "cpu_vs_terraform_usual": 1.1,
    "parse_5000_s": 10.0,
    "section_5000_s": 2.0,
}
ROOM = 60_000  # characters of the card
SIZES = {"small": 1, "usual": 200}
MODULE = """
variable "size" { default = 1 }
resource "terraform_data" "thing" {
  count = %d
  input = { size = var.size, index = count.index, name = "thing-${count.index}", tags = { team = "ml", stage = "dev" } }
}
output "names" { value = terraform_data.thing[*].output.name }
"""


def main() -> None:
    """Print the figures as one JSON object, or be a child of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.infra", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, which is the only form there is")
    parser.add_argument("--quick", action="store_true", help="4 rounds")
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "SIZE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _child(*arguments.child)
    else:
        print(json.dumps(figures(rounds=4 if arguments.quick else 21), indent=2))


def figures(*, rounds: int) -> dict[str, Any]:
    """Return the figures, measured turn by turn."""
    names = ("raw", "ours")
    sides = {size: {name: partial(_side, name, size) for name in names} for size in SIZES}
    times = {size: alternate(both, rounds) for size, both in sides.items()}
    ratios = {
        f"{what}_vs_terraform_{size}": ratio(both["ours"], both["raw"], what)
        for what in ("wall", "cpu")
        for size, both in times.items()
    }
    large = _large()
    return {
        "name": "infra",
        "machine": machine(),
        "sizes": {**SIZES, "resources_of_the_plan": 5000, "bytes_of_the_plan": large.pop("bytes"), "rounds": rounds},
        "ratios": {**ratios, "parse_vs_json_loads": round(large["parse_5000_s"] / large.pop("loads"), 2)},
        "absolute": {**{size: medians(both) for size, both in times.items()}, **large},
        "targets": TARGETS,
        "met": met({**ratios, **large}, TARGETS),
    }


def _side(name: str, size: str) -> Measure:
    """Return what one side used, the programs that it started included."""
    own = child("benchmarks.infra", "--child", name, size)
    return replace(own, cpu=own.cpu + own.result["children"])


def _child(side: str, size: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "root"
        folder.mkdir()
        (folder / "main.tf").write_text(MODULE % SIZES[size])
        measured(_counted(_ours(folder) if side == "ours" else _raw(folder)))


def _counted(work: Callable[[], None]) -> Callable[[], dict[str, Any]]:
    def counted() -> dict[str, Any]:
        before = _children()
        work()
        return {"children": _children() - before}

    return counted


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ours(folder: Path) -> Callable[[], None]:
    tool = TerraformTool("auto", folder, data=folder.parent / "data", settings=InfraEnvironmentSettings(),
                         environment=dict(os.environ), on_line=lambda _: None)  # fmt: skip
    tool.version()

    def work() -> None:
        tool.initialise()
        saved = tool.planned(Planning(lock=True))
        tool.applied(saved)
        tool.forget(saved)

    return work


def _raw(folder: Path) -> Callable[[], None]:
    program = program_path("auto", os.environ)
    environment = child_environment(os.environ, folder.parent / "data/default")

    def run(*arguments: str, good: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run([program, *arguments], cwd=folder, env=environment, capture_output=True, text=True,
                              check=False)  # fmt: skip
        if done.returncode not in good:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout

    def work() -> None:
        plan = str(folder.parent / "plan")
        run("init", "-input=false", "-no-color", "-lockfile=readonly", "-reconfigure")
        run("plan", "-input=false", "-no-color", "-json", "-detailed-exitcode", f"-out={plan}", good=(2,))
        run("show", "-no-color", "-json", plan)
        run("apply", "-input=false", "-no-color", "-json", plan)

    return work


def _large() -> dict[str, Any]:
    """Return the seconds of CPU that reading and showing a plan of 5,000 resources takes, the least of three."""
    text = json.dumps(_document(5000))
    loads, parse, section = [], [], []
    for _ in range(3):
        start = time.process_time()
        json.loads(text)
        loads.append(time.process_time() - start)
        start = time.process_time()
        document = plan_document(text)
        secrets = secrets_of_plan(document)
        plan = read_plan(
            document, ToolVersion("terraform", "1.11.4"), Concealer(secrets), digest_key("lineage", secrets)
        )
        parse.append(time.process_time() - start)
        start = time.process_time()
        infra_section(InfraPlanned("aws-prod", "0" * 40, "1" * 40, "root", "default", plan), ROOM)
        section.append(time.process_time() - start)
    return {
        "bytes": len(text),
        "loads": min(loads),
        "parse_5000_s": round(min(parse), 3),
        "section_5000_s": round(min(section), 3),
    }


def _document(count: int) -> dict[str, Any]:
    """Return the document of a plan in which a tenth of the resources is replaced and a tenth destroyed."""
    actions = {0: ["delete", "create"], 1: ["delete"]}
    return {
        "resource_changes": [
            {
                "address": f"module.part{number % 40}.aws_thing.some[{number}]",
                "type": "aws_thing",
                "provider_name": "registry.terraform.io/hashicorp/aws",
                "change": {
                    "actions": actions.get(number % 10, ["update"]),
                    "before": _attributes(number, 1),
                    "after": None if number % 10 == 1 else _attributes(number, 2),
                    "after_unknown": {"arn": True},
                    "before_sensitive": {"password": True},
                    "after_sensitive": {"password": True},
                    "replace_paths": [["name"]] if number % 10 == 0 else [],
                },
            }
            for number in range(count)
        ]
    }


def _attributes(number: int, version: int) -> dict[str, Any]:
    return {
        "name": f"thing-{number}", "arn": f"arn:aws:thing:eu-west-1:000000000000:thing/{number}", "size": version,
        "enabled": True, "password": f"{number * 7919 % 99991}-password-{version}", "zone": None,
        "policy": json.dumps({"Statement": [{"Effect": "Allow", "Action": ["thing:Get"], "Resource": f"x/{number}"}]}),
        "tags": {"team": "ml", "stage": "dev", "number": str(number)}, "ports": [80, 443],
        "description": f"The thing {number}, {version}",
        "ratio": 0.25 * version, "rules": [{"from": 1, "to": version}],
    }  # fmt: skip


if __name__ == "__main__":
    main()
