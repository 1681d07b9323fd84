"""The section of a plan in the card: golden pages, 5,000 resources, and values that try to break out of it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.adapters.markdown_it import fragment
from leverframe.application.report import summary_of
from leverframe.documents import loaded, plain
from leverframe.domain.infrastructure.infra_addresses import listed, ranges
from leverframe.domain.infrastructure.infra_apply_result import InfraApplied
from leverframe.domain.infrastructure.infra_comment import apply_comment
from leverframe.domain.infrastructure.infra_executor import InfraExecutor, InfraServices
from leverframe.domain.infrastructure.infra_plan import (
    ChangeKind,
    CheckOutcome,
    InfraPlan,
    ResourceChange,
    ToolVersion,
)
from leverframe.domain.infrastructure.infra_plan_result import InfraPlanned
from leverframe.domain.infrastructure.infra_ports import SavedPlan, StateLock
from leverframe.domain.infrastructure.infra_section import infra_section
from leverframe.domain.infrastructure.infra_steps import Guard
from leverframe.domain.infrastructure.plan_digest import plan_digest
from leverframe.domain.infrastructure.protection import Protection
from leverframe.domain.pipeline.init import workflow, workflow_file
from leverframe.domain.project import WHOLE
from leverframe.domain.review.report.card import Card
from leverframe.domain.review.report.card_markdown import LIMIT, Shown, render
from leverframe.domain.verdict import Failed, Passed, Reason, Violation
from leverframe.package import template
from tests.fakes.infra import MemoryTerraform
from tests.profiles import examples
from tests.unit.test_report import card

GOLDEN = Path(__file__).parents[1] / "golden" / "report"
GUIDES = Path(__file__).parents[2] / "docs" / "guides"
HOSTILE = (
    "`````\n</details>@everyone <!-- leverframe:report:model --> <img src=x onerror=alert(1)> [a](https://example.org)"
    " | ~~~ <<EOT\n-destroyed\n+kept\r\u202e\u2028${{ github.token }} ::error::x"
)


def change(address: str, kind: ChangeKind, *lines: str, **more: Any) -> ResourceChange:
    """Return a change of a resource."""
    return ResourceChange(address, kind, "e" * 64, lines, **more)


def planned(*changes: ResourceChange, **more: Any) -> InfraPlanned:
    """Return the plan of an environment with these changes."""
    order = list(ChangeKind)
    ordered = tuple(sorted(changes, key=lambda change: (order.index(change.kind), change.address)))
    of_plan = {name: more.pop(name) for name in ("outputs", "outside", "checks") if name in more}
    digest = plan_digest(ordered, of_plan.get("outputs", ()))
    plan = InfraPlan(digest, ToolVersion("terraform", "1.11.4"), ordered, **of_plan)
    known = {"plan": plan, "root": "terraform/environments/aws-prod", "workspace": "default"}
    return InfraPlanned("aws-prod", "c" * 40, "b" * 40, **{**known, **more})


def refused(reason: Reason, what: str, following: str) -> tuple[Violation, ...]:
    """Return one violation."""
    return (Violation(reason, what, following),)


CREATE = change("aws_s3_bucket.models", ChangeKind.CREATE, '+ bucket = "shop-models"', "+ arn = (known after apply)")
DESTROY = change(
    "aws_db_instance.main", ChangeKind.DELETE, '- engine = "postgres"', because="it is not in the configuration"
)
REPLACE = change(
    "aws_instance.web[0]", ChangeKind.REPLACE, '~ ami = "ami-1" -> "ami-2"', forced_by=("ami",)
)  # fmt: skip
KINDS = (ChangeKind.CREATE, ChangeKind.UPDATE, ChangeKind.DELETE, ChangeKind.REPLACE)
LARGE = [
    change(
        f'module.shop["{part}"].aws_s3_object.file["{number:04}/{part}"]', KINDS[number // 625], f'~ etag = "{number}"'
    )
    for part in ("images", "texts")
    for number in range(2_500)
]
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty")
IRREGULAR = [
    change(f'module.{a}_{b}.aws_{c}_{d}.{a}{c}["{b}/{d}"]', ChangeKind.DELETE)
    for a in WORDS
    for b in WORDS[:10]
    for c in WORDS[:10]
    for d in WORDS[:5]
]
CASES = {
    "infra-create": planned(CREATE, outputs=(change("output.bucket", ChangeKind.CREATE, '+ bucket = "shop-models"'),)),
    "infra-replace": planned(REPLACE, CREATE, applied="a" * 40),
    "infra-destroy": planned(
        DESTROY, REPLACE,
        violations=refused(
            Reason.DESTROY_PROTECTED, "`aws_db_instance.main` is protected and would be destroyed",
            "give the pull request the label `infra-destroy` if that is meant",
        ),
    ),
    "infra-move": planned(change("module.a.aws_s3_bucket.x", ChangeKind.MOVE, before="aws_s3_bucket.x")),
    "infra-forget": planned(change("aws_s3_bucket.old", ChangeKind.FORGET)),
    "infra-import": planned(change("aws_s3_bucket.old", ChangeKind.IMPORT, "+ force_destroy = false")),
    "infra-failed-check": planned(
        checks=(
            CheckOutcome("check.health", "fail", ("The server `web` does not answer.",)),
            CheckOutcome("aws_s3_bucket.models", "pass"),
        ),
        violations=refused(Reason.INFRA_CHECK_FAILED, "`check.health` failed", "fix what it names"),
    ),
    "infra-no-change": planned(),
    "infra-error": planned(
        plan=None,
        violations=refused(Reason.PLAN_FAILED, "Terraform refused: `Error: Unsupported argument`", "fix `main.tf`"),
    ),
    "infra-outside": planned(
        CREATE,
        outside=(change("aws_s3_bucket.logs", ChangeKind.UPDATE), change("aws_iam_role.old", ChangeKind.DELETE)),
        lock=StateLock("4f1c", "ci@runner", "OperationTypeApply", "2026-11-27T02:10:00Z"),
        notes=("refreshed with the role `plan`",),
    ),
    "infra-large": planned(*LARGE),
    "infra-hostile": planned(
        change(HOSTILE, ChangeKind.DELETE, HOSTILE, f"- {HOSTILE}", f"+ x = <<EOT\n{HOSTILE}", because=HOSTILE),
        change(f"{HOSTILE}[0]", ChangeKind.MOVE, f"~ {HOSTILE * 50}", before=HOSTILE),
        change("a.b", ChangeKind.REPLACE, forced_by=(HOSTILE,)),
        checks=(CheckOutcome(HOSTILE, "fail", (HOSTILE,)),), lock=StateLock(HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        outside=(change(HOSTILE, ChangeKind.UPDATE, HOSTILE),), notes=(HOSTILE,), workspace=HOSTILE,
        violations=refused(Reason.PLAN_FAILED, HOSTILE, HOSTILE),
    ),
}  # fmt: skip


def small(*plans: InfraPlanned) -> Card:
    """Return a card with plans and little else."""
    return card(infra=plans, gated=None, checked=None, reproduced=None, diff=None, curves=(), nodes=(), edges=())


@pytest.mark.parametrize("name", CASES)
def test_the_section_is_the_golden_one(name: str) -> None:
    """`LEVERFRAME_GOLDEN=write` writes them; a reviewer reads the difference."""
    text, path = infra_section(CASES[name], LIMIT * 2 // 3) + "\n", GOLDEN / f"{name}.md"
    if os.environ.get("LEVERFRAME_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_a_card_with_a_plan_fits_and_folds(name: str) -> None:
    """The comment is short enough, what is folded is closed again, and the section survives as data."""
    whole = card(infra=(CASES[name], replace(CASES[name], environment="aws-dev")))
    page = render(whole)
    assert len(page) <= LIMIT
    html = fragment(page)
    assert html.count("<details") == html.count("</details>") > 0
    assert html.index("Infrastructure") < html.index("Metrics")
    again = loaded(Card, json.dumps(plain(whole)).encode(), name="card")
    assert render(again) == page
    assert whole.verdict == (Failed((CASES[name].violations[0].reason,)) if CASES[name].violations else Passed())


def test_the_guide_shows_the_section_as_it_is() -> None:
    """Quoted, it looks there as it does in a comment."""
    guide = (GUIDES / "infrastructure-pull-request.md").read_text(encoding="utf-8")
    quoted = re.findall(r"(?:^>.*\n)+", guide, re.MULTILINE)[0]
    golden = (GOLDEN / "infra-destroy.md").read_text(encoding="utf-8")
    assert re.sub(r"^> ?", "", quoted, flags=re.MULTILINE) == golden
    plan = CASES["infra-destroy"].plan
    assert plan is not None
    assert plan.digest in golden, "`--reviewed` takes the whole digest alone"


def test_the_guide_names_the_workflow_that_init_writes() -> None:
    """Somebody starts it by hand, and adds a job of their own to it."""
    guide = (GUIDES / "infrastructure-pull-request.md").read_text(encoding="utf-8")
    written = yaml.safe_load(workflow(template("workflow-infra.yml"), "us/them/actions@abc"))
    started = re.findall(r"start the workflow `(.*?)` by hand", guide)
    assert started == [written["name"]]
    (needed,) = re.findall(r"`needs: (\w+)`", guide)
    jobs = written["jobs"]
    assert needed in jobs
    assert ("deploy" in jobs) is ("writes no job that deploys" not in guide)
    assert f"`{workflow_file(WHOLE, 'workflow-infra.yml')}`" in guide


def test_a_card_without_infrastructure_says_nothing_of_it() -> None:
    """A repository that declares none sees what it saw before."""
    assert "nfrastructure" not in render(card())


def test_what_is_destroyed_stands_whole_whatever_the_size() -> None:
    """Ranges name every address of 5,000; of irregular ones the counts add up, and the summary has each."""
    page = render(card(infra=(planned(*LARGE),)))
    destroyed = [item.address for item in LARGE if item.kind is ChangeKind.DELETE]
    listed_ones = re.findall(r"^- `(.*)`$", page.partition("To destroy:")[2].partition("To replace:")[0], re.MULTILINE)
    assert expanded(listed_ones) == set(destroyed)
    assert "destroys 1,250 and replaces 1,250 resources" in page
    page = render(card(infra=(planned(*IRREGULAR),)))
    assert len(page) <= LIMIT
    lines = page.partition("To destroy:\n\n")[2].partition("\n\n")[0].splitlines()
    assert sum(int(line.rpartition(": ")[2].replace(",", "")) for line in lines[:-1]) + left(lines[-1]) == 5_000
    assert "summary of the job" in lines[-1]
    summary = render(card(infra=(planned(*IRREGULAR),)), Shown(1000, 1000), limit=900_000)
    assert all(f"`{item.address}`" in summary for item in IRREGULAR)


def test_a_long_diff_is_cut_by_lines_and_says_so() -> None:
    """The new value stands beside the old one; the first change that has no room is begun, and the summary has it."""
    wide = f'~ policy: "{"a" * 240}... (805 characters)" -> "{"b" * 200}EVIL"'
    lines = (wide, *(f'+ user_data line {number} = "{number:0100}"' for number in range(1, 1_001)))
    plan = planned(change("aws_instance.web", ChangeKind.UPDATE, *lines))
    card_text, summary = infra_section(plan, LIMIT * 2 // 3), infra_section(plan, 900_000)
    assert "EVIL" in card_text
    shown = len(re.findall("^[+!] ", card_text, re.MULTILINE))
    assert 50 < shown < 1_000
    assert f"\n  … and {1_001 - shown:,} more lines of it\n```" in card_text
    assert all(f"{number:0100}" in summary for number in range(1, 1_001))
    long = planned(change("a.b", ChangeKind.UPDATE, f"+ {'k' * 5_000} = EVIL"))
    assert re.search(r"k… \+[34],\d{3} characters", infra_section(long, LIMIT * 2 // 3))
    assert "EVIL" in infra_section(long, 900_000)


def left(line: str) -> int:
    """Return how many addresses the last line of a list with counts stands for."""
    counted = re.match(r"- ([\d,]+) of other", line)
    return int(counted[1].replace(",", "")) if counted else 0


def expanded(texts: list[str]) -> set[str]:
    """Return every address that ranges stand for."""
    addresses: set[str] = set()
    for text in texts:
        span = re.search(r"\{([\d.,]+)\}", text)
        if span is None:
            addresses.add(text)
            continue
        numbers: list[str] = []
        for part in span[1].split(","):
            first, _, last = part.partition("..")
            numbers += [str(n).zfill(len(first)) for n in range(int(first), int(last or first) + 1)]
        addresses |= expanded([text[: span.start()] + number + text[span.end() :] for number in numbers])
    return addresses


MANY = 400
FULL = planned(
    *LARGE[:100], *IRREGULAR, *(change(f"{HOSTILE}[{at}]", ChangeKind.DELETE, HOSTILE) for at in range(MANY)),
    checks=tuple(CheckOutcome(f"{HOSTILE}{at}", "fail", (HOSTILE * 9,)) for at in range(MANY)),
    outside=tuple(change(f"{HOSTILE}{at}", ChangeKind.UPDATE) for at in range(MANY)), lock=StateLock(*(HOSTILE,) * 4),
    applied=HOSTILE, workspace=HOSTILE, notes=(HOSTILE,),
)  # fmt: skip


@pytest.mark.parametrize("room", [12_000, 43_000, 120_000])
def test_a_section_keeps_to_its_room(room: int) -> None:
    """Whatever there is; and nothing of what fails or is destroyed goes without a count."""
    text = infra_section(FULL, room)
    assert len(text) <= room
    assert "more checks that failed" in text
    html = fragment(text)
    assert html.count("<details") == html.count("</details>")


ADDRESSES = st.lists(
    st.one_of(
        st.builds("m.{}[{}].x[{}]".format, st.sampled_from("ab"), st.integers(0, 12), st.integers(0, 12)),
        st.tuples(st.sampled_from("ab"), st.integers(0, 120)).map(lambda t: f'{t[0]}.x["k-{t[1]:03}"]'),
        st.sampled_from(["a.b", "a.b1c", "1", "00", "0", "a.01", "a.1", "a.2", "a.02", "a.03"]),
    ),
    max_size=60,
)  # fmt: skip


@given(addresses=ADDRESSES)
@settings(max_examples=examples(0.5))
def test_ranges_lose_no_address_and_invent_none(addresses: list[str]) -> None:
    """Numbers with and without leading zeros, in one place or in several."""
    assert expanded(ranges(addresses)) == set(addresses)


@given(addresses=st.lists(st.text(max_size=40), min_size=1, max_size=80), room=st.integers(400, 4_000))
@settings(max_examples=examples(0.5))
def test_a_list_keeps_to_its_room(addresses: list[str], room: int) -> None:
    """Whatever the addresses are."""
    assert len(listed(addresses, room)) <= room


@given(text=st.text(st.characters(codec="utf-8"), max_size=60) | st.text("`~\n<>@#*|-+! \t/detailsEOT\r", max_size=60))
@settings(max_examples=examples(0.5))
def test_no_value_ends_its_block(text: str) -> None:
    """In the page, values stay inside of code; signs stand in the first column."""
    lines = (f"+ {text}", f"- {text}", f"~ {text}", text)
    page = infra_section(planned(change(f"a.{text}", ChangeKind.UPDATE, *lines)), 20_000)
    html = fragment(page)
    assert html.count("<details") == html.count("</details>") == 2
    body = re.search(r'<pre><code class="language-diff">(.*?)</code></pre>', html, re.DOTALL)
    assert body is not None
    signs = [line[:1] for line in body[1].splitlines()]
    assert signs[:4] == ["@", "+", "-", "!"]
    assert len(signs) == 5
    outside = re.sub(r"<code.*?</code>", "", html, flags=re.DOTALL)
    assert not re.search(r"<(?!/?(details|summary|b|p|h3|ul|li|pre|sub)\b)", outside)


def test_hostile_values_make_nothing() -> None:
    """No tag, link, mention or marker outside of code."""
    html = fragment(infra_section(CASES["infra-hostile"], LIMIT * 2 // 3))
    outside = re.sub(r"<code.*?</code>", "", html, flags=re.DOTALL)
    for wrong in ("<img", "<a ", "@everyone", "<!--", "::error"):
        assert wrong not in outside, wrong
    assert "\u202e" not in html


def test_notes_crowd_nothing_out() -> None:
    """A renamed module of a thousand protected resources, allowed by a label: one note, and a comment that fits."""
    moved = tuple(
        change(f'module.database.x.a["k{at}"]', ChangeKind.MOVE, before=f"module.db.x.a[{at}]") for at in range(1000)
    )
    plan = InfraPlan("0" * 64, ToolVersion("terraform", "1"), moved)
    names = [one.address for one in moved]
    executor = InfraExecutor(MemoryTerraform(), InfraServices(allowed=lambda _: names), saved=SavedPlan(plan, "x"))
    executor.run(Guard(Protection(("module.db",))))
    assert executor.violations == []
    (note,) = executor.notes
    assert note.endswith("and 995 more are protected, and a label allows what becomes of it")
    many = (note, *(f"note {at} `{'`x' * 4000}`" for at in range(500)))
    shown = infra_section(InfraPlanned("shop", "a" * 40, "b" * 40, "r", "default", plan, notes=many), 55_000)
    assert len(shown) < 60_000
    assert "496 more notes" in shown
    applied = InfraApplied("shop", "a" * 40, "", "r", "default", "2026", plan, applied=True, notes=many)
    assert len(apply_comment(applied)) < 60_000


def test_the_summary_of_a_job_is_counted_in_bytes() -> None:
    """GitHub drops all of one that is too large; keys of instances may be in any script."""
    gone = tuple(change(f'x.a["{chr(0x4E00 + at) * 40}"]', ChangeKind.DELETE) for at in range(800))
    plan = InfraPlan("0" * 64, ToolVersion("terraform", "1"), gone)
    shown = replace(card(), infra=(InfraPlanned("shop", "a" * 40, "b" * 40, "r", "default", plan),))
    text = summary_of(shown, 80_000)
    assert 30_000 < len(text.encode()) <= 80_000
