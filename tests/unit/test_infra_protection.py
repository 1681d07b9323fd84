"""A protected address is protected also where a plan hides a part of it, and as fast as it is long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leverframe.domain.infrastructure.protection import Protection

HIDDEN = 'aws_db.main["***-1a2b3c4d"]'
TEXT = st.text('ab.["]*', max_size=8)


@given(TEXT, TEXT)
def test_a_pattern_is_any_text_for_each_star(pattern: str, address: str) -> None:
    """And matches what an address contains, which begins with a dot or a bracket."""
    text = ".*".join(map(re.escape, pattern.split("*")))
    expected = re.fullmatch(rf"{text}(?:[.\[].*)?", address, re.DOTALL) is not None
    assert Protection((pattern,)).covers(address) is expected


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("aws_db.main", True),
        ("aws_db.*", True),
        ('aws_db.main["prod"]', True),
        ('aws_db.main["prod*"]', True),
        ('*["prod"]', True),
        ("*prod*", True),
        ("*", True),
        ('aws_db.main["prod"].more', False),
        ("aws_db.main[0]", False),
        ("aws_db.other", False),
        ('aws_s3.main["prod"]', False),
    ],
)
def test_a_hidden_key_may_be_any(pattern: str, covered: bool) -> None:
    """Whoever calls the key of a protected instance a secret does not take its protection away."""
    assert Protection((pattern,)).covers(HIDDEN) is covered
    assert Protection((pattern,)).covers(f"module.a.{HIDDEN}") is pattern.startswith("*")


@given(TEXT, st.text("ab", max_size=4), TEXT)
def test_what_protects_the_key_protects_it_hidden(pattern: str, key: str, more: str) -> None:
    """For each pattern and each key."""
    rules = Protection((pattern,))
    if rules.covers(f'a["{key}"]{more}'):
        assert rules.covers(f'a["***-00000000"]{more}')


def test_many_stars_take_no_longer() -> None:
    """No pattern makes a plan of long addresses take minutes."""
    start = time.process_time()
    assert not Protection(("*a" * 60 + "b",)).covers("a" * 4000 + "c")
    assert time.process_time() - start < 10
