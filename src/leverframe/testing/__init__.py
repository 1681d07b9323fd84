"""What a user needs to test a pipeline of their own: a repository builder and the naive reference."""
