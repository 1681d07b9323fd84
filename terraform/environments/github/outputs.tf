output "environments" {
  description = "Environments of the repository."
  value       = module.repository.environments
}
