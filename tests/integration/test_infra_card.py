"""The section of the card for plans that Terraform really made: every kind of change, secrets, hostile values."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from leverframe.adapters.markdown_it import fragment, page
from leverframe.domain.infrastructure.infra_plan import InfraPlan
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.infra_section import infra_section
from tests.integration import chromium
from tests.integration.infra_root import Root, absent

GOLDEN = Path(__file__).parents[1] / "golden" / "report" / "infra-real.md"
SECRET = "correct-horse-battery"  # noqa: S105 - seeded, to be looked for
BEFORE = """
variable "password" {
  sensitive = true
}
resource "terraform_data" "kept" {
  input = { size = 1, note = "one" }
}
resource "terraform_data" "replaced" {
  triggers_replace = "ami-1"
  input            = "web"
}
resource "terraform_data" "gone" {
  for_each = toset(["a", "b"])
  input    = each.key
}
resource "terraform_data" "named" {
  input = "moves"
}
resource "terraform_data" "left" {
  input = "stays"
}
resource "terraform_data" "secret" {
  input = var.password
}
"""
AFTER = """
variable "password" {
  sensitive = true
}
resource "terraform_data" "kept" {
  input = { size = 2, note = <<-EOT
    ```
    </details> @everyone <img src=x onerror=alert(1)>
    ~~~ [a](https://example.org)
    EOT
  }
}
resource "terraform_data" "replaced" {
  triggers_replace = "ami-2"
  input            = "web"
}
resource "terraform_data" "renamed" {
  input = "moves"
}
moved {
  from = terraform_data.named
  to   = terraform_data.renamed
}
removed {
  from = terraform_data.left
  lifecycle {
    destroy = false
  }
}
resource "terraform_data" "secret" {
  input = "${var.password}-2"
}
resource "terraform_data" "added" {
  count = 12
  input = "item ${count.index}"
}
check "size" {
  assert {
    condition     = terraform_data.kept.input.size < 2
    error_message = "The size `2` is too large."
  }
}
output "note" {
  value = terraform_data.kept.input.note
}
"""


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> tuple[InfraPlan, InfraPlan]:
    """The plan that changes in every way, and that of what is applied."""
    if absent("terraform"):
        pytest.skip(absent("terraform"))
    root = Root.below(tmp_path_factory.mktemp("card")).write(BEFORE)
    tool = root.ready({"THE_PASSWORD": SECRET}, secrets={"password": "THE_PASSWORD"})
    root.apply(tool)
    unchanged = root.plan(tool)
    root.write(AFTER)
    return root.plan(tool), unchanged


def section(plan: InfraPlan) -> str:
    """Return the section of a plan, what differs from run to run replaced."""
    text = infra_section(InfraPlanned("demo", "c" * 40, "b" * 40, "terraform/demo", "default", plan), 30_000)
    text = text.replace(plan.digest, "d" * 64).replace(str(plan.tool), "terraform 1.11.4")
    return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", text)


def test_a_real_plan_is_the_golden_section(plans: tuple[InfraPlan, InfraPlan]) -> None:
    """`LEVERFRAME_GOLDEN=write` writes it; a reviewer reads the difference."""
    text = section(plans[0]) + "\n"
    if os.environ.get("LEVERFRAME_GOLDEN") == "write":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
    assert SECRET not in text
    assert section(plans[1]).startswith("Infrastructure `demo`: no change.")


def test_its_values_make_nothing(plans: tuple[InfraPlan, InfraPlan]) -> None:
    """No tag, link or mention outside of code; what is folded is closed again."""
    html = fragment(section(plans[0]))
    outside = re.sub(r"<code.*?</code>", "", html, flags=re.DOTALL)
    assert html.count("<details") == html.count("</details>") == 2
    for wrong in ("<img", "<a ", "@everyone"):
        assert wrong not in outside, wrong


@pytest.mark.skipif(chromium.PROGRAM is None, reason="there is no Chromium")
def test_it_fits_a_phone(plans: tuple[InfraPlan, InfraPlan], tmp_path: Path) -> None:
    """Unfolded, the page is not wider than the window, and no script or picture came out of a value."""
    (tmp_path / "card.html").write_text(page("Card", section(plans[0])).replace("<details>", "<details open>"))
    with chromium.tab(tmp_path / "profile") as tab:
        for dark in (False, True):
            tab.show((tmp_path / "card.html").as_uri(), 390, dark=dark)
            assert tab.value("document.documentElement.scrollWidth") <= 390
            assert tab.value("document.images.length + document.links.length + document.scripts.length") == 0
