"""The rules of Leverframe: pure functions over frozen values; whatever they read or write comes in through ports."""
