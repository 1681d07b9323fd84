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

run "the_bucket" {
  command = plan

  # It keeps every version.

  assert {
    condition     = aws_s3_bucket_versioning.store.versioning_configuration[0].status == "Enabled"
    error_message = "Versions must be kept: DVC never overwrites, but people delete."
  }

  assert {
    condition     = !aws_s3_bucket.store.force_destroy
    error_message = "A bucket with objects must not be destroyed."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.store.rule[0].noncurrent_version_expiration[0].noncurrent_days == 90
    error_message = "Noncurrent versions must expire after the days that were given."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.store.rule[0].expiration[0].expired_object_delete_marker
    error_message = "Delete markers without versions must expire."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.store.rule[1].abort_incomplete_multipart_upload[0].days_after_initiation == 7
    error_message = "Unfinished uploads must be removed."
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.store.rule : rule.status == "Enabled"])
    error_message = "Every rule must be in force."
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.store.rule : rule.filter[0].prefix == ""])
    error_message = "Every rule must be in force for the whole bucket."
  }

  assert {
    condition     = !anytrue([for statement in jsondecode(aws_s3_bucket_policy.store.policy).Statement : statement.Sid == "RefuseVersionDeletion"])
    error_message = "A version may be deleted unless the caller says otherwise: people may ask that their data goes."
  }

  assert {
    condition     = length(aws_s3_bucket_logging.store) == 0
    error_message = "Without a bucket for logs there is no log."
  }

  # It is private.

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.store.block_public_acls,
      aws_s3_bucket_public_access_block.store.block_public_policy,
      aws_s3_bucket_public_access_block.store.ignore_public_acls,
      aws_s3_bucket_public_access_block.store.restrict_public_buckets,
    ])
    error_message = "All four blocks of public access must be on."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.store.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "The owner of the bucket must own every object, and ACLs must be off."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_s3_bucket_policy.store.policy).Statement : statement.Effect == "Deny"])
    error_message = "The policy of the bucket must give nobody anything: roles do."
  }

  # It is reached by TLS alone.

  assert {
    condition = length([
      for statement in jsondecode(aws_s3_bucket_policy.store.policy).Statement : statement
      if try(statement.Condition.Bool["aws:SecureTransport"] == "false", false)
      && statement.Effect == "Deny" && statement.Principal == "*" && statement.Action == "s3:*"
      && try(toset(statement.Resource) == toset(["arn:aws:s3:::rides-data", "arn:aws:s3:::rides-data/*"]), false)
    ]) == 1
    error_message = "Requests without TLS must be refused, for the bucket and for its objects."
  }

  assert {
    condition = length([
      for statement in jsondecode(aws_s3_bucket_policy.store.policy).Statement : statement
      if try(statement.Condition.NumericLessThan["s3:TlsVersion"] == "1.2", false) && statement.Action == "s3:*"
    ]) == 1
    error_message = "TLS older than 1.2 must be refused."
  }

  # It is encrypted with a key of its own.

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_server_side_encryption_configuration.store.rule :
      rule.bucket_key_enabled && rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"
    ])
    error_message = "Objects must be encrypted with a key of KMS."
  }

  assert {
    condition     = length(aws_kms_key.store) == 1 && aws_kms_key.store[0].enable_key_rotation && aws_kms_key.store[0].deletion_window_in_days == 30
    error_message = "The key must rotate, and a deletion of it must wait as long as AWS allows."
  }

  assert {
    condition     = jsondecode(aws_kms_key.store[0].policy).Statement[0].Principal.AWS == "arn:aws:iam::111122223333:root"
    error_message = "No other account may use the key."
  }

  assert {
    condition     = aws_kms_alias.store[0].name == "alias/rides-data"
    error_message = "The key must be found by the name of the bucket."
  }

  assert {
    condition = length([
      for statement in jsondecode(aws_s3_bucket_policy.store.policy).Statement : statement
      if try(statement.Condition.StringNotEqualsIfExists["s3:x-amz-server-side-encryption"] == "aws:kms", false)
      && statement.Action == "s3:PutObject"
    ]) == 1
    error_message = "An object with another encryption must be refused."
  }
}

run "takes_a_key_that_exists" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  assert {
    condition     = length(aws_kms_key.store) == 0 && length(aws_kms_alias.store) == 0
    error_message = "No second key may be created."
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_server_side_encryption_configuration.store.rule :
      rule.apply_server_side_encryption_by_default[0].kms_master_key_id == var.kms_key_arn
    ])
    error_message = "The key that was given must encrypt."
  }

  assert {
    condition     = output.kms_key_arn == var.kms_key_arn && output.arn == "arn:aws:s3:::rides-data" && output.url == "s3://rides-data"
    error_message = "Outputs must say what roles and DVC need."
  }
}

run "may_keep_history_from_everybody" {
  command = plan

  variables {
    deny_version_deletion = true
    noncurrent_versions   = 20
  }

  assert {
    condition = length([
      for statement in jsondecode(aws_s3_bucket_policy.store.policy).Statement : statement
      if contains(flatten([statement.Action]), "s3:DeleteObjectVersion") && statement.Effect == "Deny" && statement.Principal == "*"
    ]) == 1
    error_message = "Nobody may delete a version."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.store.rule[0].noncurrent_version_expiration[0].newer_noncurrent_versions == 20
    error_message = "As many noncurrent versions must be kept as were asked for."
  }
}

run "logs_where_asked" {
  command = plan

  variables {
    access_log = { bucket = "rides-logs", prefix = "data/" }
  }

  assert {
    condition     = aws_s3_bucket_logging.store[0].target_bucket == "rides-logs" && aws_s3_bucket_logging.store[0].target_prefix == "data/"
    error_message = "Access must be logged."
  }
}
