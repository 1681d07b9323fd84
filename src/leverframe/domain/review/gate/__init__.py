"""Whether a change may be merged: candidate against champion on the same rows, data, parity and size."""
