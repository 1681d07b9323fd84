"""What a change does to the data: rows, columns, contracts and definitions, from the profiles in git."""
