"""``python -m leverframe`` is the same program as ``leverframe``."""

from leverframe.cli import main

main()
