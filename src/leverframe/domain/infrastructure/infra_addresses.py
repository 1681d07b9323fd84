"""Lists of Terraform addresses that fit into a given room: first whole, then as ranges, then as counts.

Ranges lose nothing: ``x[{0..41}]`` stands for the 42 addresses ``x[0]`` to ``x[41]``. Counts add up to all addresses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from leverframe.inert.markdown import code

_NUMBER = re.compile(r"([0-9]{1,18})")
_KEY = re.compile(r'\[(?:\d+|"(?:[^"\\]|\\.)*")\]')  # of an instance that `count` or `for_each` made
_LONGEST = 400  # bytes of an address
_FEWEST = 3  # numbers that make a span
WHOLE = "The summary of the job that made the card, and its artifact, have all of it"


def ranges(addresses: Iterable[str]) -> list[str]:
    """Return the addresses with those that differ in one number alone written as one, and so on for other numbers."""
    rows = [tuple(_NUMBER.split(address)) for address in dict.fromkeys(addresses)]  # texts, with numbers at odd places
    for place in range(1, max(map(len, rows), default=0), 2):
        rows = _merged(rows, place)
    return ["".join(row) for row in rows]


def _merged(rows: Sequence[tuple[str, ...]], place: int) -> list[tuple[str, ...]]:
    """Return the rows with those written as one that differ at one place from the end alone."""
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for row in rows:
        at = len(row) - 1 - place
        before, after = (row[:at], row[at + 1 :]) if at > 0 else (row, ())
        groups.setdefault((before, after), []).append(row[at] if at > 0 else "")
    return [
        (*before, numbers[0] if len(numbers) == 1 else f"{{{_spans(numbers)}}}", *after) if after else before
        for (before, after), numbers in groups.items()
    ]


def _spans(numbers: Sequence[str]) -> str:
    """Return numbers in order, as `0..41,50`; leading zeros stay."""
    runs: list[list[str]] = []
    for number in sorted(numbers, key=lambda text: (int(text), len(text))):
        last = runs[-1][-1] if runs else ""
        if last and number == str(int(last) + 1).zfill(len(last)):
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}..{run[-1]}" if len(run) >= _FEWEST else ",".join(run) for run in runs)


def listed(
    addresses: Sequence[str], room: int, about: Callable[[str], str] = lambda _: "", *, few: int | None = None
) -> str:
    """Return a Markdown list of addresses of at most ``room`` characters, as whole as that allows.

    ``about`` is what follows an address as Markdown where each has a line of its own; where nothing follows any of more
    than ``few``, they are written as ranges at once.
    """
    ways: tuple[Callable[[], list[str]], ...] = (
        lambda: [f"- {code(address, _LONGEST)}{about(address)}" for address in addresses],
        lambda: [f"- {code(text, max(room, _LONGEST) * 4)}" for text in ranges(addresses)],
        lambda: _counted(addresses, _resource),
        lambda: _counted(addresses, _kind),
    )
    text = ""
    at_once = few is not None and len(addresses) > few and not any(map(about, addresses))
    for way in ways[at_once:]:
        text = "\n".join(way())
        if len(text) <= room:
            return text
    return _largest(text.split("\n"), addresses, room)


def _resource(address: str) -> str:
    return _KEY.sub("", address)


def _kind(address: str) -> str:
    """Return the outermost module of a resource and its type."""
    words = _resource(address).split(".")
    outermost = words[:2] if words[0] == "module" and len(words) > 2 else []
    return ".".join([*outermost, *words[-2:-1]]) or address


def _counted(addresses: Sequence[str], group: Callable[[str], str]) -> list[str]:
    counts = Counter(map(group, addresses)).most_common()
    return [*(f"- {code(name, _LONGEST)}: {count:,}" for name, count in counts), f"- {WHOLE}."]


def _largest(lines: Sequence[str], addresses: Sequence[str], room: int) -> str:
    """Return the first of the lines with counts, and how many addresses are in none of them."""
    kept: list[str] = []
    counted = 0
    for line in lines[:-1]:
        if sum(len(earlier) + 1 for earlier in kept) + len(line) + len(WHOLE) + 60 > room:
            break
        kept.append(line)
        counted += int(line.rpartition(": ")[2].replace(",", ""))
    return "\n".join([*kept, f"- {len(addresses) - counted:,} of other types or modules. {WHOLE}."])
