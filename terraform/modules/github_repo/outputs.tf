output "environments" {
  description = "Environments, for the subjects of OIDC roles."
  value       = [for environment in github_repository_environment.this : environment.environment]
}

output "branches" {
  description = "Branches from which jobs of an environment may come."
  value       = { for name, settings in var.environments : name => sort(settings.branches) }
}

output "required_checks" {
  description = "Checks that a merge needs."
  value       = keys(var.required_checks)
}
