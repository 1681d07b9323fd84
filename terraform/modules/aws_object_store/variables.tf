variable "name" {
  description = "Name of the bucket; names are shared by all accounts of AWS."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 63 small letters, digits and hyphens, and neither begins nor ends with a hyphen. A dot would break TLS."
  }

  validation {
    condition     = !startswith(var.name, "xn--") && !startswith(var.name, "sthree-") && !endswith(var.name, "-s3alias")
    error_message = "AWS reserves names that begin with xn-- or sthree- and names that end with -s3alias."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts objects; null creates one that AWS rotates once a year."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "Give the ARN of a key, as in arn:aws:kms:eu-central-1:111122223333:key/…; an alias may come to mean another key."
  }
}

variable "noncurrent_days" {
  description = "Days after which a version that was overwritten or deleted expires."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.noncurrent_days >= 1 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "Give a whole number of days, 1 or more: what was deleted by mistake can be restored for so long."
  }
}

variable "noncurrent_versions" {
  description = "How many noncurrent versions of an object are kept however old they are; null keeps none beyond noncurrent_days."
  type        = number
  default     = null

  validation {
    condition     = var.noncurrent_versions == null || try(var.noncurrent_versions >= 1 && var.noncurrent_versions <= 100 && floor(var.noncurrent_versions) == var.noncurrent_versions, false)
    error_message = "S3 keeps 1 to 100 noncurrent versions of an object."
  }
}

variable "multipart_days" {
  description = "Days after which an upload in parts that never ended is removed."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.multipart_days >= 1 && floor(var.multipart_days) == var.multipart_days
    error_message = "Give a whole number of days, 1 or more."
  }
}

variable "deny_version_deletion" {
  description = "Whether the bucket refuses to delete a single version, whoever asks; expiry still removes old ones."
  type        = bool
  default     = false
  nullable    = false
}

variable "access_log" {
  description = "Where S3 writes who read what: a bucket in the same region and account that lets logging.s3.amazonaws.com write, and a prefix; null writes no log."
  type = object({
    bucket = string
    prefix = string
  })
  default = null

  validation {
    condition     = var.access_log == null || try(endswith(var.access_log.prefix, "/"), false)
    error_message = "The prefix of an access log ends with a slash."
  }

  validation {
    condition     = var.access_log == null || try(var.access_log.bucket != var.name, false)
    error_message = "A bucket that logs into itself grows with every line of its own log."
  }
}

variable "tags" {
  description = "Tags of everything that the module creates."
  type        = map(string)
  default     = {}
  nullable    = false
}
