"""Modules of a person that would end the process: an error that names the file, and nobody takes it for success."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from leverframe.errors import DefinitionError
from leverframe.imports import load

NUMBER = count()


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Path]:
    """Return the file of a module that no other test imports."""
    path = list(sys.path)
    yield tmp_path / f"case_{os.getpid()}_{next(NUMBER)}.py"
    sys.path[:] = path


@pytest.mark.parametrize(
    ("line", "how"),
    [
        ("os._exit(0)", "`_exit`"),
        ("posix_exit(0)", "`_exit`"),
        ("import posix; posix._exit(0)", "`_exit`"),
        ("sys.exit()", "`sys.exit()`"),
        ("sys.exit(0)", "`sys.exit(0)`"),
        ("raise SystemExit('done')", "`sys.exit(done)`"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "`kill`"),
        ("os.killpg(0, signal.SIGKILL)", "`killpg`"),
        ("os.abort()", "`abort`"),
        ("os.execlp('true', 'true')", "`exec"),
        ("os.execvpe('true', ['true'], {'PATH': '/bin:/usr/bin'})", "`execve`"),
        ("signal.raise_signal(signal.SIGKILL)", "`raise_signal`"),
    ],
)
def test_a_module_that_ends_the_process_is_an_error_that_names_it(module: Path, line: str, how: str) -> None:
    """With exit code 0 it would have been a passed check."""
    module.write_text(f"import os, signal, sys\nfrom os import _exit as posix_exit\n\n{line}\nSOURCES = {{}}\n")
    with pytest.raises(DefinitionError) as refused:
        load(f"{module.stem}:SOURCES", module.parent, said_by="a test")
    assert f"{module.name}, line 4, ends the process by {how}" in refused.value.why
    assert module.stem in refused.value.what


def test_what_a_module_may_do_goes_on(module: Path) -> None:
    """It looks whether a process lives and lets its own children end; once it is imported, it may end the process."""
    module.write_text(
        "import os\nfrom os import _exit\nos.kill(os.getpid(), 0)\nchild = os.fork()\nif child == 0:\n    os._exit(7)\n"
        "CODE = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
    )
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom leverframe.imports import load\n"
        "before = os._exit, os.kill, signal.raise_signal\n"
        f"assert load('{module.stem}:CODE', Path('.'), said_by='a test') == 7\n"
        "assert (os._exit, os.kill, signal.raise_signal) == before\n"
        f"load('{module.stem}:_exit', Path('.'), said_by='a test')(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=module.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
