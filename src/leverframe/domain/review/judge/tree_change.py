"""One path that differs between two trees of git, as git tells it: modes and blobs of both sides."""

from __future__ import annotations

from dataclasses import dataclass

NONE, FILE = "000000", "100644"


@dataclass(frozen=True)
class TreeChange:
    """A path from the top of the repository; mode 000000 stands for nothing on that side."""

    path: str
    mode_before: str
    mode_after: str
    before: str
    after: str

    @property
    def regular(self) -> bool:
        """Tell whether both sides are plain files, or nothing: no link, no submodule, no change of the mode."""
        modes = {self.mode_before, self.mode_after} - {NONE}
        return modes == {FILE} or (modes == {"100755"} and self.mode_before != NONE)

    @property
    def removed(self) -> bool:
        """Tell whether nothing is there after the change."""
        return self.mode_after == NONE

    @property
    def added(self) -> bool:
        """Tell whether nothing was there before the change."""
        return self.mode_before == NONE
