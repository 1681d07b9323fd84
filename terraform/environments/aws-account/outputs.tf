output "backend" {
  description = "Settings of the backend for `infra.environments.NAME.backend`; each environment adds a `key`."
  value       = module.state.backend
}

output "data" {
  description = "DVC remote: the variable `data` of the other environments."
  value       = { bucket_arn = module.data.arn, kms_key_arn = module.data.kms_key_arn, prefix = "dvc" }
}

output "remote" {
  description = "Address for `dvc remote add --default`."
  value       = "${module.data.url}/dvc"
}

output "network" {
  description = "Name of the network: the variable `network` of the other environments."
  value       = var.name
}

output "image_repository" {
  description = "Where the image of the server is pushed, and its ARN for the other environments."
  value       = { url = aws_ecr_repository.server.repository_url, arn = aws_ecr_repository.server.arn }
}

output "roles" {
  description = "Roles for the variables of Actions, by deployment."
  value       = { for name, roles in module.roles : name => { plan = roles.plan_role_arn, apply = roles.apply_role_arn, deploy = roles.deploy_role_arn } }
}

output "runners" {
  description = "Role that starts machines, and their pools; null without runners."
  value       = one([for runners in module.runners : { role = runners.starter_role_arn, pools = runners.pools }])
}

output "reader_role_arn" {
  description = "Role of `reproduce` in pull requests; null without pull_requests_read_data."
  value       = one(aws_iam_role.reader[*].arn)
}
