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
  zones       = ["eu-central-1a", "eu-central-1b"]
  kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1"
}

run "refuses_one_zone" {
  command = plan

  variables {
    zones = ["eu-central-1a"]
  }

  expect_failures = [var.zones]
}

run "refuses_a_zone_twice" {
  command = plan

  variables {
    zones = ["eu-central-1a", "eu-central-1b", "eu-central-1a"]
  }

  expect_failures = [var.zones]
}

run "refuses_public_addresses" {
  command = plan

  variables {
    cidr = "8.8.0.0/16"
  }

  expect_failures = [var.cidr]
}

run "refuses_a_small_network" {
  command = plan

  variables {
    cidr = "10.0.0.0/26"
  }

  expect_failures = [var.cidr]
}

run "refuses_an_alias_of_a_key" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/logs"
  }

  expect_failures = [var.kms_key_arn]
}
