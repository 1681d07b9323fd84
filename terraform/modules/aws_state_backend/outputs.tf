output "backend" {
  description = "Settings of the backend `s3` that all environments share; each adds a `key` of its own."
  value = {
    bucket     = module.bucket.name
    region     = data.aws_region.current.region
    kms_key_id = module.bucket.kms_key_arn
    # Without the key's ARN this would ask for a key of S3, which the bucket refuses.
    encrypt      = "true"
    use_lockfile = "true"
  }
}

output "bucket_arn" {
  description = "ARN of the bucket, for policies of roles."
  value       = module.bucket.arn
}

output "kms_key_arn" {
  description = "Key that a role needs to read and write the state."
  value       = module.bucket.kms_key_arn
}

output "bucket_policy" {
  description = "Policy of the bucket as JSON."
  value       = module.bucket.policy
}
