"""What a change does to the data: rows, columns, contracts and definitions, told from what git keeps of them."""
