"""Who is told of findings: one issue an alert, kept up to date in place, and webhooks."""
