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
  name = "rides-state"
}

run "the_bucket_of_the_state" {
  command = plan

  # It tells the settings of the backend.

  assert {
    condition     = output.backend.use_lockfile == "true"
    error_message = "The state must be locked by S3 itself."
  }

  assert {
    condition     = output.backend.encrypt == "true" && contains(keys(output.backend), "kms_key_id")
    error_message = "The state must be encrypted with the key of the bucket."
  }

  assert {
    condition     = output.backend.region == "eu-central-1" && output.bucket_arn == "arn:aws:s3:::rides-state"
    error_message = "The settings must say where the bucket is."
  }

  assert {
    condition     = !contains(keys(output.backend), "key")
    error_message = "A key that all environments share would let one overwrite the state of another."
  }

  # It keeps former states.

  assert {
    condition = length([
      for statement in jsondecode(output.bucket_policy).Statement : statement
      if statement.Effect == "Deny" && contains(flatten([statement.Action]), "s3:DeleteObjectVersion")
    ]) == 1
    error_message = "Nobody may delete a former state."
  }

  assert {
    condition = length([
      for statement in jsondecode(output.bucket_policy).Statement : statement
      if try(statement.Condition.Bool["aws:SecureTransport"] == "false", false)
    ]) == 1
    error_message = "The state must be read through TLS alone."
  }
}
