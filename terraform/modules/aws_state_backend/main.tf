data "aws_region" "current" {}

# Terraform's own lock is an object beside the state, `KEY.tflock`. Each lock leaves a version and a delete marker in a
# bucket that keeps versions; the rules of the bucket remove those like any former state.
module "bucket" {
  source = "../aws_object_store"

  name                  = var.name
  noncurrent_days       = var.noncurrent_days
  noncurrent_versions   = var.noncurrent_versions
  deny_version_deletion = true
  access_log            = var.access_log
  tags                  = var.tags
}
