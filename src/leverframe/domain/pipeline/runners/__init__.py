"""Stages that run on other machines: the phases of a run, what is handed from one to the next, and their jobs."""
