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
  name               = "rides"
  repository         = "example/rides-model"
  apply_environment  = "aws-prod"
  deploy_environment = "production"
  state = {
    bucket_arn  = "arn:aws:s3:::rides-state"
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/11111111-1111-1111-1111-111111111111"
    key         = "aws-prod/terraform.tfstate"
  }
  data = {
    bucket_arn  = "arn:aws:s3:::rides-data"
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/22222222-2222-2222-2222-222222222222"
    prefix      = "dvc"
  }
}

run "refuses_every_repository_of_an_owner" {
  command = plan

  variables {
    repository = "example/*"
  }

  expect_failures = [var.repository]
}

run "refuses_patterns" {
  command = plan

  variables {
    name               = "ri*"
    branches           = ["main", "release/*"]
    apply_environment  = "*"
    deploy_environment = "prod-*"
  }

  expect_failures = [var.name, var.branches, var.apply_environment, var.deploy_environment]
}

run "refuses_patterns_in_the_state" {
  command = plan

  variables {
    state = {
      bucket_arn  = "arn:aws:s3:::rides-state"
      kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/11111111-1111-1111-1111-111111111111"
      key         = "aws-*/terraform.tfstate"
    }
  }

  expect_failures = [var.state]
}

run "refuses_a_whole_bucket" {
  command = plan

  variables {
    data = {
      bucket_arn  = "arn:aws:s3:::rides-data"
      kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/22222222-2222-2222-2222-222222222222"
      prefix      = "*"
    }
  }

  expect_failures = [var.data]
}

run "refuses_every_bucket" {
  command = plan

  variables {
    data = {
      bucket_arn  = "arn:aws:s3:::*"
      kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/22222222-2222-2222-2222-222222222222"
      prefix      = "dvc"
    }
  }

  expect_failures = [var.data]
}

run "refuses_every_service" {
  command = plan

  variables {
    service = {
      arn            = "arn:aws:ecs:eu-central-1:111122223333:service/rides-prod/*"
      task_family    = "rides-model"
      task_role_arns = ["arn:aws:iam::111122223333:role/rides-task"]
    }
  }

  expect_failures = [var.service]
}

run "refuses_to_pass_every_role" {
  command = plan

  variables {
    service = {
      arn            = "arn:aws:ecs:eu-central-1:111122223333:service/rides-prod/rides-model"
      task_family    = "rides-model"
      task_role_arns = ["arn:aws:iam::111122223333:role/*"]
    }
  }

  expect_failures = [var.service]
}

run "refuses_another_issuer" {
  command = plan

  variables {
    provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.example.org"
  }

  expect_failures = [var.provider_arn]
}

run "refuses_an_administrator" {
  command = plan

  variables {
    apply_policy_arns = ["arn:aws:iam::aws:policy/AdministratorAccess"]

    boundary_statements = [{ actions = ["iam:CreateRole", "s3:*"], resources = ["*"] }]
    manage              = ["everything"]
    repository_ids      = { owner = 0, repository = 1 }
  }

  expect_failures = [var.apply_policy_arns, var.boundary_statements, var.manage, var.repository_ids]
}
