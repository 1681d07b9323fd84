"""Files and folders of one user alone: made so from the first byte, and held to it before anything in them is trusted.

And files of a stranger: only plain ones are read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def plain_file(path: Path, most: int = 4 << 30) -> bytes:
    """Return the bytes of a plain file; raises ``ValueError`` for anything else, or more than ``most`` bytes.

    A pipe would keep who opens it waiting, and a link leads to what somebody may change after it was verified.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "it is a link" if path.is_symlink() else (error.strerror or str(error)).lower()
        raise ValueError(why) from error
    about = os.fstat(number)
    if not stat.S_ISREG(about.st_mode) or about.st_size > most:
        os.close(number)
        raise ValueError(
            f"it has {about.st_size:,} bytes, more than {most:,}"
            if stat.S_ISREG(about.st_mode)
            else "it is no plain file"
        )
    with os.fdopen(number, "rb") as handle:
        return handle.read(most)
