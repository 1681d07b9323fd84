"""The demo: pull requests on the local forge, and releases on a real server under traffic."""
