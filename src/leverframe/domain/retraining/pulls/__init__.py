"""The pull request of a candidate: one a model, on a fixed branch, brought up to date in place."""
