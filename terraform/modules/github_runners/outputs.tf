output "starter_role_arn" {
  description = "Role of the job that starts machines."
  value       = aws_iam_role.starter.arn
}

output "launch_templates" {
  description = "Launch templates by pool."
  value       = { for name, template in aws_launch_template.this : name => template.name }
}

output "instance_types" {
  description = "Types of machines by pool, in the order in which they are tried."
  value       = { for name, pool in var.pools : name => join(" ", pool.instance_types) }
}

output "vpc_id" {
  description = "Network of the runners."
  value       = aws_vpc.this.id
}
