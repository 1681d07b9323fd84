"""The review of a change: check, reproduce, gate, data diff, and the report on the pull request."""
