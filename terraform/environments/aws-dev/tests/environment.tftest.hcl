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
}

run "wires_the_modules" {
  override_resource {
    target = module.serving.aws_lb.this
    values = { arn_suffix = "app/shop/1", dns_name = "shop.example.org" }
  }

  override_resource {
    target = module.observability.aws_cloudwatch_log_group.server
    values = { arn = "arn:aws:logs:eu-central-1:111122223333:log-group:/leverframe/shop-dev-serving/server" }
  }

  assert {
    condition     = output.service_name == "shop-dev-serving" && output.cluster_name == "shop-dev-serving" && output.dns_name == "shop.example.org"
    error_message = "A deployment must learn where the service is."
  }

  assert {
    condition     = module.observability.log_group_name == "/leverframe/shop-dev-serving/server" && length(module.observability.service_alarms) == 2
    error_message = "The service must have a log and alarms."
  }
}

run "refuses_alarms_that_nobody_hears" {
  command = plan

  variables {
    emails = []
  }

  expect_failures = [var.emails]
}

run "refuses_a_long_name" {
  command = plan

  variables {
    name = "a-name-that-is-too-long"
  }

  expect_failures = [var.name]
}
