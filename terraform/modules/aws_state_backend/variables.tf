variable "name" {
  description = "Name of the bucket for the state of Terraform."
  type        = string
  nullable    = false
}

variable "noncurrent_days" {
  description = "Days for which a former state can be restored."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.noncurrent_days >= 30
    error_message = "A mistake in infrastructure may be noticed after weeks: keep former states for 30 days or more."
  }
}

variable "noncurrent_versions" {
  description = "How many former states of an environment, and as many former locks, are kept however old they are."
  type        = number
  default     = 20
  nullable    = false
}

variable "access_log" {
  description = "Where S3 writes who read the state: a bucket and a prefix; null writes no log."
  type = object({
    bucket = string
    prefix = string
  })
  default = null
}

variable "tags" {
  description = "Tags of everything that the module creates."
  type        = map(string)
  default     = {}
  nullable    = false
}
