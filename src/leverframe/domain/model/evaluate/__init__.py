"""How good a model is on the hold-out, how sure that is, and where it is worst."""
