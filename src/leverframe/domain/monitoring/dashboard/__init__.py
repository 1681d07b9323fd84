"""The dashboard: one page of HTML without scripts, made of what a run of the monitor found, worst first."""
