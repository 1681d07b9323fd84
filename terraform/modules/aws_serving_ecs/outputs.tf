output "cluster_name" {
  description = "Cluster, for `release.py --cluster`."
  value       = aws_ecs_cluster.this.name
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = aws_ecs_cluster.this.arn
}

output "service_name" {
  description = "Service, for `release.py --service`."
  value       = aws_ecs_service.this.name
}

output "service_arn" {
  description = "ARN of the service, for the role that deploys."
  value       = aws_ecs_service.this.id
}

output "task_role_arns" {
  description = "Roles that a deployment hands over to tasks (`iam:PassRole`)."
  value       = [aws_iam_role.task.arn, aws_iam_role.execution.arn]
}

output "load_balancer_arn_suffix" {
  description = "Load balancer in the dimensions of its metrics."
  value       = aws_lb.this.arn_suffix
}

output "target_group_arn_suffix" {
  description = "Target group in the dimensions of its metrics."
  value       = aws_lb_target_group.this.arn_suffix
}

output "dns_name" {
  description = "Name to which a record of your domain points."
  value       = aws_lb.this.dns_name
}

output "zone_id" {
  description = "Zone of that name, for an alias record."
  value       = aws_lb.this.zone_id
}

output "task_security_group_id" {
  description = "Security group of tasks, for what they may reach."
  value       = aws_security_group.task.id
}

output "task_definition_arn" {
  description = "Revision of Terraform, from which `release.py` makes those that serve."
  value       = aws_ecs_task_definition.this.arn
}
