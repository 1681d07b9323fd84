"""Whether a change may be merged: candidate against champion on the same rows, and every other check of the change."""
