# What else may be chosen; tests/terraform/test_cloud_environments.py reads the plan.
mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
  mock_data "aws_vpc" {
    defaults = { id = "vpc-1", cidr_block = "10.20.0.0/16" }
  }
  mock_data "aws_subnets" {
    defaults = { ids = ["subnet-1", "subnet-2"] }
  }
  mock_data "aws_prefix_list" {
    defaults = { id = "pl-1" }
  }
}

variables {
  name            = "shop-dev"
  account_id      = "111122223333"
  region          = "eu-central-1"
  model           = "rides"
  image           = "registry.example.org/leverframe@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  network         = "shop"
  data            = { bucket_arn = "arn:aws:s3:::shop-data", kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1", prefix = "dvc" }
  certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
  client_cidrs    = ["10.0.0.0/8"]
  monthly_usd     = 300
  emails          = ["ann@example.org"]

  environment = "test"

  access_log_bucket = "shop-access-log"
  cpu               = 2048
  memory            = 8192
  egress            = { redis = { cidr = "10.20.30.40/32", port = 6379 } }
  request_log = {
    file_system_id   = "fs-1"
    file_system_arn  = "arn:aws:elasticfilesystem:eu-central-1:111122223333:file-system/fs-1"
    access_point_arn = "arn:aws:elasticfilesystem:eu-central-1:111122223333:access-point/fsap-1"
    access_point_id  = "fsap-1"
    cidr             = "10.20.0.0/16"
  }
}

run "hands_on_what_is_chosen" {
  command = plan
}
