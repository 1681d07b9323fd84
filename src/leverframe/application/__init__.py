"""The application layer: one file a command, each given a ``Workspace``, plus what several of them share."""
