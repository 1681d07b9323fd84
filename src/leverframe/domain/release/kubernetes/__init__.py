"""Deployment to a cluster: a release is a set of pods, and the rolling update is the switch."""
