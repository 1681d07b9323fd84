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
  name       = "shop"
  account_id = "111122223333"
  region     = "eu-central-1"
  zones      = ["eu-central-1a", "eu-central-1b"]
  repository = "acme/shop"
  runners    = true
  budget     = { monthly_usd = 500, emails = ["ann@example.org"] }

  pull_requests_read_data = true
  deployments             = { "shop-dev" = { infra = "aws-dev", deploy = "staging" }, "shop-prod" = { infra = "aws-prod", deploy = "production" } }
}

run "wires_the_modules" {
  command = plan

  override_module {
    target  = module.data
    outputs = { name = "shop-data", arn = "arn:aws:s3:::shop-data", url = "s3://shop-data", kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1", policy = "{}" }
  }

  override_module {
    target  = module.state
    outputs = { backend = { bucket = "shop-state" }, bucket_arn = "arn:aws:s3:::shop-state", kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/2", bucket_policy = "{}" }
  }

  assert {
    condition     = output.remote == "s3://shop-data/dvc" && output.data.prefix == "dvc" && output.backend.bucket == "shop-state"
    error_message = "DVC and Terraform must learn where data and state are."
  }

  assert {
    condition     = toset(keys(output.roles)) == toset(["shop-dev", "shop-prod"])
    error_message = "Each deployment must have roles of its own."
  }

  assert {
    condition = { for name, roles in module.roles : name => roles.state_object } == {
      shop-dev = "arn:aws:s3:::shop-state/aws-dev/terraform.tfstate", shop-prod = "arn:aws:s3:::shop-state/aws-prod/terraform.tfstate"
    }
    error_message = "Each deployment must have a state of its own."
  }

  assert {
    condition = { for name, roles in module.roles : name => concat(roles.subjects.apply, roles.subjects.deploy) } == {
      shop-dev  = ["repo:acme/shop:environment:aws-dev", "repo:acme/shop:environment:staging"]
      shop-prod = ["repo:acme/shop:environment:aws-prod", "repo:acme/shop:environment:production"]
    }
    error_message = "Jobs of `infra` apply, and jobs of `deploy` deploy."
  }

  assert {
    condition     = toset(keys(output.runners.pools)) == toset(["cpu", "gpu"])
    error_message = "There must be runners where they are asked for."
  }

  assert {
    condition     = aws_ecr_repository.server.image_tag_mutability == "IMMUTABLE"
    error_message = "A tag must not become another image."
  }
}

run "lets_pull_requests_read_data_if_asked" {
  command = plan

  variables {
    pull_requests_read_data = true
  }

  override_module {
    target  = module.data
    outputs = { name = "shop-data", arn = "arn:aws:s3:::shop-data", url = "s3://shop-data", kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1", policy = "{}" }
  }

  assert {
    condition     = jsondecode(aws_iam_role.reader[0].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == ["repo:acme/shop:pull_request", "repo:acme/shop:ref:refs/heads/main"]
    error_message = "Only runs of this repository may take the role, compared letter by letter."
  }

  assert {
    condition     = toset([for statement in jsondecode(aws_iam_role_policy.reader[0].policy).Statement : statement.Action]) == toset(["s3:GetObject", "s3:ListBucket", "kms:Decrypt"])
    error_message = "The role must read and do nothing else."
  }

  assert {
    condition     = toset([for statement in jsondecode(aws_iam_role_policy.reader[0].policy).Statement : statement.Resource]) == toset(["arn:aws:s3:::shop-data/dvc/*", "arn:aws:s3:::shop-data", "arn:aws:kms:eu-central-1:111122223333:key/1"])
    error_message = "The role must read the DVC remote alone."
  }
}

run "refuses_two_deployments_with_one_state" {
  command = plan

  variables {
    deployments = { "shop-dev" = { infra = "aws-dev", deploy = "staging" }, "shop-prod" = { infra = "aws-dev", deploy = "production" } }
  }

  expect_failures = [var.deployments]
}

run "refuses_a_name_that_begins_another" {
  command = plan

  variables {
    deployments = { "shop-prod" = { infra = "aws-prod", deploy = "production" }, "shop-prod-eu" = { infra = "aws-eu", deploy = "eu" } }
  }

  expect_failures = [var.deployments]
}

run "refuses_the_name_of_what_is_shared" {
  command = plan

  variables {
    deployments = { "shop-runners" = { infra = "aws-dev", deploy = "staging" } }
  }

  expect_failures = [var.deployments]
}

run "refuses_a_deployment_of_another_project" {
  command = plan

  variables {
    deployments = { "other-dev" = { infra = "aws-dev", deploy = "staging" } }
  }

  expect_failures = [var.deployments]
}
