data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  arn         = "arn:${data.aws_partition.current.partition}:s3:::${var.name}"
  create_key  = var.kms_key_arn == null
  kms_key_arn = local.create_key ? aws_kms_key.store[0].arn : var.kms_key_arn
}

resource "aws_s3_bucket" "store" {
  bucket        = var.name
  force_destroy = false
  tags          = var.tags

  # It holds every version of the data that a model was trained on. To destroy it, first take this line away in a
  # pull request of its own.
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "store" {
  bucket = aws_s3_bucket.store.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_ownership_controls" "store" {
  bucket = aws_s3_bucket.store.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "store" {
  bucket = aws_s3_bucket.store.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "store" {
  bucket = aws_s3_bucket.store.id

  rule {
    # One data key a bucket instead of one an object: a hundredth of the calls to KMS, which are paid for.
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "store" {
  bucket = aws_s3_bucket.store.id

  rule {
    id     = "noncurrent-versions"
    status = "Enabled"

    filter {
      prefix = ""
    }

    noncurrent_version_expiration {
      noncurrent_days           = var.noncurrent_days
      newer_noncurrent_versions = var.noncurrent_versions
    }

    # A marker whose versions are all gone is of no use, and every listing walks over it.
    expiration {
      expired_object_delete_marker = true
    }
  }

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    filter {
      prefix = ""
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = var.multipart_days
    }
  }

  # S3 refuses rules about versions while the bucket has none.
  depends_on = [aws_s3_bucket_versioning.store]
}

resource "aws_s3_bucket_logging" "store" {
  count = var.access_log == null ? 0 : 1

  bucket        = aws_s3_bucket.store.id
  target_bucket = var.access_log.bucket
  target_prefix = var.access_log.prefix
}
