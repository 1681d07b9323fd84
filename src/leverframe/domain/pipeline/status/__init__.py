"""Which stages of the pipeline are stale, and why."""
