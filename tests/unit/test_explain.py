"""`leverframe explain`: the plan in words, and the source of a feature, on a small star."""

from __future__ import annotations

import yaml

from leverframe.domain.features.plan import compile_star
from leverframe.domain.features.star import Star
from leverframe.domain.features.star_picture import Origin, mermaid, origin_lines, plan_lines
from tests.integration.shop import STAR

PLAN = compile_star(Star.model_validate(yaml.safe_load(STAR)))


def test_the_plan_names_every_feature_and_label_once() -> None:
    """Each output of a step stands on a line of its own; labels tell when they become known."""
    lines = plan_lines(PLAN)
    assert lines[0] == f"plan {PLAN.spec}: {len(PLAN.features())} features for each row of `{PLAN.spine}`"
    for step in PLAN.steps:
        for name in step.outputs():
            assert lines.count(f"    {name}") == 1
    labels = [line for line in lines if line.startswith("  label ")]
    assert [line.split()[1].rstrip(":") for line in labels] == [label.name for label in PLAN.labels]
    assert all("known at" in line for line in labels)
    assert lines[-1].startswith("  looks back at most: ")


def test_the_picture_has_a_node_a_step_and_a_label() -> None:
    """Mermaid draws the spine in the middle, each table once, and each label."""
    text = mermaid(PLAN)
    assert text.startswith("flowchart LR\n")
    assert all(f" s{number}[" in text or f" s{number}([" in text for number in range(len(PLAN.steps)))
    assert all(f"<b>{label.name}</b>" in text for label in PLAN.labels)


def test_the_origin_of_a_feature_names_table_key_and_rows() -> None:
    """One line a feature with what was read for it; a lookup has no window."""
    origins = [
        Origin("orders_3d", "4", "orders", "product=7", 4, "2024-01-01", "2024-01-03"),
        Origin("price", "9.5", "products", "product=7", 1, None, None),
    ]
    lines = "\n".join(origin_lines(origins))
    for word in ("orders_3d", "orders", "product=7", "2024-01-01", "2024-01-03", "price", "products"):
        assert word in lines
