"""A GitHub forge on this machine, temporary repositories and traffic: for the demo, and for tests of own workflows."""
