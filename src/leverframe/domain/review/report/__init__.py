"""The decision card: one page that says whether to merge, and why."""
