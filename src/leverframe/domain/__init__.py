"""The rules of Leverframe: pure functions, and one ``run`` a room that takes its ports as arguments."""
