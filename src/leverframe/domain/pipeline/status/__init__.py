"""Which stages of the pipeline are stale, with the reasons."""
