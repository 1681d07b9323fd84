"""What a table is and what it must satisfy: sources, contracts, statistics, profiles and sketches."""
