variable "name" {
  description = "Name of the network and beginning of the names in it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "Use 3 to 24 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "cidr" {
  description = "Private address range of the network; its subnets are sixteenths of it."
  type        = string
  default     = "10.20.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.cidr)) && can(regex("^(10|172\\.(1[6-9]|2[0-9]|3[01])|192\\.168)\\.", var.cidr))
    error_message = "Give a private IPv4 range in CIDR notation, such as 10.20.0.0/16."
  }

  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 22, false)
    error_message = "A network of AWS is at least a /28 and a subnet has few addresses: use a prefix from /16 to /22."
  }
}

variable "zones" {
  description = "Availability zones, at least two: a load balancer needs two, and one may fail."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(distinct(var.zones)) >= 2 && length(var.zones) == length(distinct(var.zones)) && length(var.zones) <= 6
    error_message = "Name two to six different availability zones, such as [\"eu-central-1a\", \"eu-central-1b\"]."
  }
}

variable "kms_key_arn" {
  description = "Key of the flow log, whose policy lets CloudWatch Logs use it; null creates one that rotates."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "Give the ARN of a KMS key, not of an alias."
  }
}

variable "log_days" {
  description = "Days for which the flow log is kept."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_days)
    error_message = "CloudWatch Logs knows 30, 60, 90, 120, 150, 180, 365, 400, 545 and 731 days, among others."
  }
}

variable "permissions_boundary_arn" {
  description = "The most that roles of this module may do: the boundary of the module github_oidc, without which its apply role creates no role."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", var.permissions_boundary_arn))
    error_message = "Give the ARN of a policy."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
