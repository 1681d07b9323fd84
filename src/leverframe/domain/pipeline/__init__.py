"""The pipeline in DVC: its stages, which of them are stale and why, and how two locks are merged."""
