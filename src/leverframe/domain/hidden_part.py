"""Our part of a body on the forge, between hidden markers, with a record in it; the text around it is of people.

The part is rewritten in place. The digest in its first marker is that of what stands between the markers.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property

from leverframe.documents import plain


@dataclass(frozen=True)
class HiddenPart:
    """A kind of part by name; ``key`` is the regular expression of what tells one part of the kind from another."""

    name: str
    key: str = "[0-9a-f]{16}"

    @cached_property
    def _start(self) -> re.Pattern[str]:
        return re.compile(f"<!-- {self.name} ({self.key}) ([0-9a-f]{{16}}) -->")

    @cached_property
    def _record(self) -> re.Pattern[str]:
        return re.compile(rf"<!-- {self.name}-record (\{{.*\}}) -->")

    @cached_property
    def _marker(self) -> re.Pattern[str]:
        return re.compile(f"<!--(?= {self.name}(?:-end|-record)? )")

    @property
    def _end(self) -> str:
        return f"<!-- {self.name}-end -->"

    def block(self, key: str, text: str, record: object) -> str:
        """Return the part: marker with digest, text, record and the marker of the end; nothing in the text is one."""
        # Two dashes end a comment, and names from data may have them.
        written = json.dumps(plain(record), ensure_ascii=True, separators=(",", ":")).replace("-", "\\u002d")
        written = written.replace(">", "\\u003e")
        content = f"{self._marker.sub('<!', text.strip())}\n\n<!-- {self.name}-record {written} -->"
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        return f"<!-- {self.name} {key} {digest} -->\n{content}\n{self._end}"

    def key_in(self, body: str) -> str:
        """Return the key of the part in a body; empty where there is none."""
        marker = self._start.search(body)
        return marker[1] if marker else ""

    def record_in(self, body: str) -> str:
        """Return the record in our part of a body as JSON, the one at its end; empty where there is none."""
        records = self._record.findall(self._inside(body.replace("\r\n", "\n")))
        return str(records[-1]) if records else ""

    def text_in(self, body: str) -> str:
        """Return what stands in the part, without its record; of a damaged one the whole body."""
        return self._record.sub("", self._inside(body.replace("\r\n", "\n")))

    def _inside(self, lines: str) -> str:
        start = self._start.search(lines)
        end = lines.find(self._end, start.end()) if start else -1
        return lines[start.end() : end] if start and end >= 0 else lines

    def merged(self, body: str, ours: str) -> str:
        """Return a body with our part replaced; the text around it stays. Without our part in it, ours comes last."""
        lines = body.replace("\r\n", "\n")
        start = self._start.search(lines)
        if start is None:
            return f"{lines.rstrip()}\n\n{ours}" if lines.strip() else ours
        end = lines.find(self._end, start.end())
        rest = lines[end + len(self._end) :] if end >= 0 else ""
        return lines[: start.start()] + ours + rest


def same(there: str, body: str) -> bool:
    """Tell whether a body on the forge is this one; browsers write line ends of their own."""
    return there.replace("\r\n", "\n").rstrip() == body.replace("\r\n", "\n").rstrip()
