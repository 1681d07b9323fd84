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
  repository        = "acme/shop"
  oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  zones             = ["eu-central-1a", "eu-central-1b"]
}

run "refuses_every_repository" {
  command = plan

  variables {
    repository = "acme/*"
  }

  expect_failures = [var.repository]
}

run "refuses_every_environment" {
  command = plan

  variables {
    environment = "*"
  }

  expect_failures = [var.environment]
}

run "refuses_another_issuer" {
  command = plan

  variables {
    oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/example.org"
  }

  expect_failures = [var.oidc_provider_arn]
}

run "refuses_a_pool_without_types" {
  command = plan

  variables {
    pools = { cpu = { instance_types = [], image = "ami-0123" } }
  }

  expect_failures = [var.pools]
}

run "refuses_a_network_larger_than_aws_takes" {
  command = plan

  variables {
    cidr = "10.0.0.0/8"
  }

  expect_failures = [var.cidr]
}
