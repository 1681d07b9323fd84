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
}

variables {
  name        = "shop-dev"
  model       = "rides"
  environment = "production"
  service = {
    load_balancer_arn_suffix = "app/shop-dev-serving/1"
    target_group_arn_suffix  = "targetgroup/shop-dev-serving/1"
  }
  emails = ["ann@example.org"]
}

run "refuses_every_branch" {
  command = plan

  variables {
    publisher = {
      provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
      subjects     = ["repo:acme/shop:*"]
    }
  }

  expect_failures = [var.publisher]
}

run "refuses_a_silence_that_cloudwatch_cannot_see" {
  command = plan

  variables {
    heartbeat_hours = 174
  }

  expect_failures = [var.heartbeat_hours]
}

run "refuses_a_namespace_of_aws" {
  command = plan

  variables {
    namespace = "AWS/Leverframe"
  }

  expect_failures = [var.namespace]
}

run "refuses_logs_for_ever" {
  command = plan

  variables {
    log_days = 0
  }

  expect_failures = [var.log_days]
}
