output "dns_name" {
  description = "Name to which a record of your domain points."
  value       = module.serving.dns_name
}

output "cluster_name" {
  description = "Cluster, for `release.py --cluster`."
  value       = module.serving.cluster_name
}

output "service_name" {
  description = "Service, for `release.py --service`."
  value       = module.serving.service_name
}

output "publisher_role_arn" {
  description = "Role of the job that sends the figures of the monitor to CloudWatch."
  value       = module.observability.publisher_role_arn
}
