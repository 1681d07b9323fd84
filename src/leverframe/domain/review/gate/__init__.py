"""Whether a change may be merged: candidate against champion on the same rows, and all that was promised."""
