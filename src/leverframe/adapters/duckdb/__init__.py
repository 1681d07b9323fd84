"""DuckDB: reads tables, computes statistics and runs the plan of the star compiler."""
