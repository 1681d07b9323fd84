"""The two files of settings: ``params`` is what stages read and DVC tracks, ``levers`` what levers read."""
