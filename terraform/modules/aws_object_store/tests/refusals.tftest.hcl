mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

variables {
  name = "rides-data"
  tags = { Project = "rides" }
}

run "refuses_a_name_with_a_dot" {
  command = plan

  variables {
    name = "rides.data"
  }

  expect_failures = [var.name]
}

run "refuses_a_reserved_name" {
  command = plan

  variables {
    name = "rides-s3alias"
  }

  expect_failures = [var.name]
}

run "refuses_an_alias_of_a_key" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/rides"
  }

  expect_failures = [var.kms_key_arn]
}

run "refuses_values_out_of_range" {
  command = plan

  variables {
    noncurrent_days     = 0
    noncurrent_versions = 101
    multipart_days      = 0.5
  }

  expect_failures = [var.noncurrent_days, var.noncurrent_versions, var.multipart_days]
}

run "refuses_a_log_into_itself" {
  command = plan

  variables {
    access_log = { bucket = "rides-data", prefix = "log/" }
  }

  expect_failures = [var.access_log]
}

run "refuses_a_log_without_a_folder" {
  command = plan

  variables {
    access_log = { bucket = "rides-logs", prefix = "data" }
  }

  expect_failures = [var.access_log]
}
