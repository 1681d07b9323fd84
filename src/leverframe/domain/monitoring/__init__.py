"""What live traffic says of a model: data quality first, then drift, then performance, and who is told."""
