output "folders" {
  description = "The paths of the folders by name."
  value       = { for name, folder in terraform_data.folder : name => folder.output.path }
}

output "tokens" {
  description = "What each folder is made as: digest of its settings, and generation."
  value       = local.token
}
