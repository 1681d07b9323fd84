"""The pages, and what draws the picture in one of them."""
