output "log_group_name" {
  description = "Log group of the containers."
  value       = aws_cloudwatch_log_group.server.name
}

output "log_group_arn" {
  description = "ARN of the log group."
  value       = aws_cloudwatch_log_group.server.arn
}

output "kms_key_arn" {
  description = "Key of logs and alarms."
  value       = aws_kms_key.this.arn
}

output "topic_arn" {
  description = "Topic of the alarms; budgets may publish there, too."
  value       = aws_sns_topic.alarms.arn
}

output "service_alarms" {
  description = "Alarms that may roll a deployment back."
  value       = concat(aws_cloudwatch_metric_alarm.errors[*].alarm_name, aws_cloudwatch_metric_alarm.p95[*].alarm_name)
}

output "namespace" {
  description = "Namespace for `publish.py --namespace`."
  value       = var.namespace
}

output "publisher_role_arn" {
  description = "Role of the job that runs `publish.py`; null without publisher."
  value       = one(aws_iam_role.publisher[*].arn)
}
