output "token" {
  description = "What the server is started as: digest of its settings, and generation."
  value       = local.token
}

output "name" {
  description = "Name of the server."
  value       = terraform_data.server.output.name
}
