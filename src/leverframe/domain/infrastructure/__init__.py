"""Infrastructure: the plan of Terraform as data, what of it is refused, and the apply of what was reviewed."""
