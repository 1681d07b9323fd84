"""The composite actions, and what writes them."""
