"""The snapshot that features are looked up in: its layout, how keys are found, and the port of every store."""
