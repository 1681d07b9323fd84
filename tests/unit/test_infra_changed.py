"""Which environments a change concerns, and that a plan which was not made is a violation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leverframe.domain.infrastructure.infra_changed import (
    claims,
    concerned,
    judged_by,
    removed,
    untrusted,
    with_missing,
)
from leverframe.domain.infrastructure.infra_plan import ChangeKind, CheckOutcome, InfraPlan, ResourceChange, ToolVersion
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.plan_digest import plan_digest
from leverframe.domain.infrastructure.protection import Protection
from leverframe.domain.verdict import Failed, Passed, Reason
from leverframe.settings.infra import InfraEnvironmentSettings

BASE, HEAD = "b" * 40, "c" * 40
DEV = InfraEnvironmentSettings()
PROD = InfraEnvironmentSettings(root="terraform/live/prod")
HERE = InfraEnvironmentSettings(observe="local")
ENVIRONMENTS = {"dev": DEV, "here": HERE, "prod": PROD}
FILES = {
    "terraform/environments/dev/main.tf": 'module "store" {\n  source = "../../modules/store"\n}\n',
    "terraform/modules/store/main.tf": 'module "inner" { source="../inner/" }',
    "terraform/modules/inner/main.tf": 'module "again" { source = "../store" }',
    "terraform/live/prod/main.tf.json": '{"module": {"x": {"source": "./x"}, "y": {"source": "hashicorp/y/aws"}}}',
    "terraform/modules/unused/main.tf": "",
}


def planned(name: str, head: str = HEAD) -> InfraPlanned:
    """Return an empty plan of an environment."""
    return InfraPlanned(
        name, head, BASE, "x", "default", InfraPlan(plan_digest((), ()), ToolVersion("terraform", "1.11.4"))
    )


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("terraform/environments/dev/main.tf", ["dev"]),
        ("terraform/environments/dev/files/policy.json", ["dev"]),
        ("terraform/environments/dev.md", []),
        ("terraform/modules/store/main.tf", ["dev"]),
        ("terraform/modules/inner/variables.tf", ["dev"]),
        ("terraform/modules/unused/main.tf", []),
        ("terraform/live/prod/x/main.tf", ["prod"]),
        ("terraform/environments/here/main.tf", ["here"]),
        ("README.md", []),
    ],
)
def test_a_change_concerns_who_calls_what_changed(path: str, names: list[str]) -> None:
    """The root, the modules that it calls, those that these call, in a circle perhaps; and nobody else."""
    assert concerned((ENVIRONMENTS, ENVIRONMENTS), FILES, [path]) == names


@pytest.mark.parametrize(
    ("root", "path", "concerns"),
    [(".", "main.tf", True), (".", "modules/a/main.tf", True), (".", "modules/b/main.tf", False),
     ("./infra", "infra/main.tf", True), ("infra", "infrastructure/main.tf", False)],
)  # fmt: skip
def test_a_root_module_may_be_anywhere(root: str, path: str, concerns: bool) -> None:
    """In the folder of the repository itself, too: a plan that was not made of it is none without changes."""
    files = {"main.tf": 'module "a" { source = "./modules/a" }'}
    environments = {"only": InfraEnvironmentSettings(root=root)}
    assert concerned((environments, environments), files, [path]) == ["only"] * concerns


def test_other_settings_concern_their_environment() -> None:
    """A new environment, too; one that is gone has nothing to plan."""
    other = {**ENVIRONMENTS, "prod": InfraEnvironmentSettings(root="terraform/live/prod", variables={"size": 2})}
    assert concerned((ENVIRONMENTS, other), FILES, []) == ["prod"]
    assert concerned(({}, ENVIRONMENTS), FILES, []) == ["dev", "here", "prod"]
    assert concerned((ENVIRONMENTS, {}), FILES, ["terraform/live/prod/main.tf"]) == []


def test_no_plan_does_not_look_like_no_change() -> None:
    """One that lacks, or is of another commit, is a violation; an environment of one machine is planned there alone."""
    changed = ["terraform/live/prod/main.tf.json", "terraform/environments/here/main.tf"]
    sides = (ENVIRONMENTS, ENVIRONMENTS)
    for left in ([planned("dev")], [planned("dev"), planned("prod", BASE)]):
        dev, prod = with_missing(left, sides, (BASE, HEAD), FILES, changed)
        assert (dev.environment, dev.verdict, dev.plan is None) == ("dev", Passed(), False)
        assert (prod.environment, prod.verdict, prod.plan) == ("prod", Failed((Reason.PLAN_FAILED,)), None)
        assert (prod.root, prod.head) == ("terraform/live/prod", HEAD)
    assert with_missing([planned("prod")], sides, (BASE, HEAD), FILES, changed) == (planned("prod"),)
    assert with_missing([], sides, (BASE, HEAD), FILES, ["README.md"]) == ()


def test_an_environment_that_is_removed_is_known_by_its_state() -> None:
    """Another name of the same state forgets nothing; another state does, whatever its name."""
    renamed = {"dev": DEV, "here": HERE, "live": InfraEnvironmentSettings(root="./terraform/live/prod/")}
    assert removed((ENVIRONMENTS, renamed)) == []
    assert removed((ENVIRONMENTS, {**renamed, "live": InfraEnvironmentSettings(root="terraform/live/x")})) == ["prod"]
    assert removed((ENVIRONMENTS, {})) == ["dev", "here", "prod"]
    assert removed(({}, ENVIRONMENTS)) == []


def test_a_fork_has_no_plan() -> None:
    """What it claims to have planned is not shown, and does not pass."""
    shown = untrusted(planned("prod"))
    assert (shown.plan, shown.verdict) == (None, Failed((Reason.PLAN_FAILED,)))


def test_what_another_job_wrote_is_held_to_its_commit_and_its_digest() -> None:
    """Else somebody could have the plan of another pull request, or write where they like."""
    made = planned("prod")
    assert made.plan is not None
    assert claims(made, HEAD) == ""
    assert claims(replace(made, plan=None), HEAD) == ""
    for wrong in (
        replace(made, head=BASE),
        replace(made, environment="../prod"),
        replace(made, plan=replace(made.plan, digest="d" * 64)),
        replace(made, plan=replace(made.plan, changes=(ResourceChange("a.b", ChangeKind.DELETE, "e" * 64),))),
    ):
        assert claims(wrong, HEAD)


def test_a_plan_without_its_violations_is_judged_again() -> None:
    """Its job may have left them out; the label is that of now, and nobody asks for it without need."""
    gone = ResourceChange("a.store", ChangeKind.DELETE, "d" * 64)
    failing = CheckOutcome("check.c", "fail", ("no",))
    plan = InfraPlan("e" * 64, ToolVersion("terraform", "1"), (gone,), checks=(failing,))
    stripped, rules = replace(planned("prod"), plan=plan), Protection(("a.store",))
    both = (Reason.DESTROY_PROTECTED, Reason.INFRA_CHECK_FAILED)
    assert judged_by(stripped, rules, tuple).verdict == Failed(both)
    once = judged_by(stripped, rules, tuple)
    assert judged_by(once, rules, lambda: pytest.fail("nothing is missing")) == once
    assert judged_by(stripped, rules, lambda: ("infra-destroy",)).verdict == Failed((Reason.INFRA_CHECK_FAILED,))
    empty = planned("prod")
    assert judged_by(empty, rules, lambda: pytest.fail("nothing is against it")) is empty
    assert judged_by(untrusted(empty), rules, tuple) == untrusted(empty)
