"""A local forge (a GitHub server on this machine), temporary repositories and traffic: for the demo and for tests."""
