"""A first case from tables: settings, sources, contracts and star schema, drafted from what the columns hold."""
