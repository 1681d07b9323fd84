"""Releases: deployment to a server or a cluster, rollback, promotion, and what is recorded of them."""
