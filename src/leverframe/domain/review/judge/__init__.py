"""The judge: what code of the base branch finds of a change that it reads as data."""
