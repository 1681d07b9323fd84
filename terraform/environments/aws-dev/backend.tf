# Bucket, key, region and KMS key come from `infra.environments.NAME.backend` of leverframe.yaml.
terraform {
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
