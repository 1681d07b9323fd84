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
  name               = "shop-dev-serving"
  model              = "rides"
  image              = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/leverframe@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  ecr_repository_arn = "arn:aws:ecr:eu-central-1:111122223333:repository/leverframe"
  remote_bucket_arn  = "arn:aws:s3:::shop-data"
  remote_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1"
  vpc_id             = "vpc-1"
  vpc_cidr           = "10.20.0.0/16"
  private_subnet_ids = ["subnet-1", "subnet-2"]
  client_cidrs       = ["10.0.0.0/8"]
  certificate_arn    = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
  s3_prefix_list_id  = "pl-1"
  log_group_name     = "/leverframe/shop-dev-serving/server"
  log_group_arn      = "arn:aws:logs:eu-central-1:111122223333:log-group:/leverframe/shop-dev-serving/server"
}

run "refuses_a_tag" {
  command = plan

  variables {
    image = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/leverframe:latest"
  }

  expect_failures = [var.image]
}

run "refuses_the_internet" {
  command = plan

  variables {
    client_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.client_cidrs]
}

run "refuses_half_of_the_internet" {
  command = plan

  variables {
    client_cidrs = ["10.0.0.0/8", "128.0.0.0/1"]
  }

  expect_failures = [var.client_cidrs]
}

run "refuses_one_subnet" {
  command = plan

  variables {
    private_subnet_ids = ["subnet-1", "subnet-1"]
  }

  expect_failures = [var.private_subnet_ids]
}

run "refuses_a_whole_bucket" {
  command = plan

  variables {
    remote_prefix = "*"
  }

  expect_failures = [var.remote_prefix]
}

run "refuses_scaling_to_zero" {
  command = plan

  variables {
    minimum_tasks = 0
  }

  expect_failures = [var.minimum_tasks]
}

run "refuses_a_maximum_below_the_minimum" {
  command = plan

  variables {
    minimum_tasks = 4
    maximum_tasks = 3
  }

  expect_failures = [var.maximum_tasks]
}

run "refuses_memory_that_fargate_has_not" {
  command = plan

  variables {
    memory = 1536
  }

  expect_failures = [var.memory]
}

run "refuses_what_aws_refuses" {
  command = plan

  variables {
    name   = "internal-shop"
    cpu    = 4096
    memory = 31744
    egress = { "für Redis" = { cidr = "10.20.30.40/32", port = 6379 } }
  }

  expect_failures = [var.name, var.memory, var.egress]
}
