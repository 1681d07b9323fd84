output "plan_role_arn" {
  description = "Role of the input `role` of the action `infra-plan`, and of the search for drift."
  value       = aws_iam_role.role["plan"].arn
}

output "apply_role_arn" {
  description = "Role of the input `role` of the action `infra-apply`."
  value       = aws_iam_role.role["apply"].arn
}

output "deploy_role_arn" {
  description = "Role of the job that deploys a model."
  value       = aws_iam_role.role["deploy"].arn
}

output "permissions_boundary_arn" {
  description = "Boundary that every role needs which the apply role is to create."
  value       = aws_iam_policy.boundary.arn
}

output "state_object" {
  description = "The one object that plans and applies read as their state."
  value       = local.state_object
}

output "subjects" {
  description = "Subjects of GitHub's tokens that may take each role."
  value       = local.subjects
}
