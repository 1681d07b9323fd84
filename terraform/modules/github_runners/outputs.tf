output "starter_role_arn" {
  description = "Role of the job that starts machines."
  value       = aws_iam_role.starter.arn
}

output "pools" {
  description = "For `runner.py start`: by pool, the launch templates and the types of machines in the order in which they are tried."
  value = {
    for name, pool in var.pools : name => {
      templates = [for zone in var.zones : aws_launch_template.this["${name}-${zone}"].name]
      types     = pool.instance_types
    }
  }
}

output "vpc_id" {
  description = "Network of the runners."
  value       = aws_vpc.this.id
}
