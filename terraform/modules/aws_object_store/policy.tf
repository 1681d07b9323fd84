locals {
  everything = [local.arn, "${local.arn}/*"]

  refuse_plain_text = {
    Sid       = "RefusePlainText"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:*"
    Resource  = local.everything
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }

  refuse_old_tls = {
    Sid       = "RefuseOldTls"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:*"
    Resource  = local.everything
    Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
  }

  # A client that names no encryption gets that of the bucket; one that names another is refused.
  refuse_other_encryption = {
    Sid       = "RefuseOtherEncryption"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:PutObject"
    Resource  = "${local.arn}/*"
    Condition = { StringNotEqualsIfExists = { "s3:x-amz-server-side-encryption" = "aws:kms" } }
  }

  refuse_version_deletion = {
    Sid       = "RefuseVersionDeletion"
    Effect    = "Deny"
    Principal = "*"
    Action    = ["s3:DeleteObjectVersion", "s3:PutBucketVersioning"]
    Resource  = local.everything
  }

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.refuse_plain_text, local.refuse_old_tls, local.refuse_other_encryption],
      var.deny_version_deletion ? [local.refuse_version_deletion] : [],
    )
  })
}

resource "aws_s3_bucket_policy" "store" {
  bucket = aws_s3_bucket.store.id
  policy = local.policy

  # S3 takes two of these at once for a conflict, and once versions are guarded nobody can turn versioning on.
  depends_on = [aws_s3_bucket_public_access_block.store, aws_s3_bucket_versioning.store]
}

resource "aws_kms_key" "store" {
  count = local.create_key ? 1 : 0

  description             = "Objects of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags

  # Who may use the key is said by the policies of roles, as for everything else in the account.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TheAccountDecides"
      Effect    = "Allow"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })

  # Without its key nothing in the bucket can be read again.
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "store" {
  count = local.create_key ? 1 : 0

  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.store[0].key_id
}
