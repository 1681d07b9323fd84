output "name" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.store.id
}

output "arn" {
  description = "ARN of the bucket, for policies of roles."
  value       = local.arn
}

output "url" {
  description = "Address of the bucket as DVC takes it; append a prefix."
  value       = "s3://${var.name}"
}

output "kms_key_arn" {
  description = "Key that a role needs to read and write objects."
  value       = local.kms_key_arn
}

output "policy" {
  description = "Policy of the bucket as JSON."
  value       = local.policy
}
