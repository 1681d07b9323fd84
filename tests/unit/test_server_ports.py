"""Where a server of this machine starts after one that was killed."""

from __future__ import annotations

from leverframe.adapters.mlserver import Ports
from leverframe.application.servers import ports_again
from leverframe.domain.release.serve import Running

DECLARED = Ports("127.0.0.1", 1, 2, 3)
MARK = f"{'a' * 64}@4"


def ended(mark: str) -> Running:
    """Return a server that listened elsewhere than declared."""
    return Running(7, 8, "127.0.0.1", 11, 12, 13, mark)


def test_a_server_of_terraform_starts_again_where_it_was() -> None:
    """However often it is killed: its clients look for it there. What started it again is not Terraform."""
    ports, mark = ports_again(DECLARED, ended(MARK))
    assert ports == Ports("127.0.0.1", 11, 12, 13)
    assert not mark.startswith(MARK)
    assert ports_again(DECLARED, ended(mark)) == (ports, mark)


def test_any_other_starts_where_it_is_declared() -> None:
    """The settings may have changed since it was killed."""
    assert ports_again(DECLARED, ended("")) == (DECLARED, "")
    assert ports_again(DECLARED, None) == (DECLARED, "")
