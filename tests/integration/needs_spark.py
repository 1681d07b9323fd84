"""The mark of tests that start Spark: they are skipped where it cannot run."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

import pytest

NEEDS_SPARK = [
    pytest.mark.skipif(not shutil.which("java"), reason="Spark runs on Java, and this machine has none"),
    pytest.mark.skipif(find_spec("pyspark") is None, reason="the extra `spark` is not installed"),
]
