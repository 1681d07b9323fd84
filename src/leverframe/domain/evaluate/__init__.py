"""How good a model is on the hold-out, how sure that is, and where it is worst."""

from leverframe.domain.evaluate.run import Evaluation, run
from leverframe.domain.evaluate.summary import summary_lines

__all__ = ["Evaluation", "run", "summary_lines"]
