variable "name" {
  description = "Name of the pool and beginning of the names around it."
  type        = string
  default     = "leverframe-runners"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "Use 3 to 32 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "repository" {
  description = "Repository whose workflows may start machines, as owner/name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "Name one repository as owner/name, without wildcards."
  }
}

variable "repository_ids" {
  description = "Numbers of the owner and of the repository, where GitHub puts them into the subject of its tokens; as for the module github_oidc."
  type = object({
    owner      = number
    repository = number
  })
  default = null
}

variable "environment" {
  description = "GitHub environment of the job that starts machines; its branch policy names the default branch alone."
  type        = string
  default     = "runners"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.environment))
    error_message = "Name one environment, without wildcards."
  }
}

variable "oidc_provider_arn" {
  description = "OIDC provider of GitHub in this account, an output of the module github_oidc."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.oidc_provider_arn))
    error_message = "Give the ARN of the provider token.actions.githubusercontent.com."
  }
}

variable "pools" {
  description = "Kinds of machines by name. `image` is an AMI or resolve:ssm:PARAMETER; `instance_types` are tried in order."
  type = map(object({
    instance_types = list(string)
    image          = string
    disk_gib       = optional(number, 60)
    spot           = optional(bool, true)
  }))
  default = {
    cpu = {
      instance_types = ["c7i.4xlarge", "c6i.4xlarge", "m7i.4xlarge"]
      image          = "resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
    }
    gpu = {
      instance_types = ["g5.2xlarge", "g6.2xlarge"]
      image          = "resolve:ssm:/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
      disk_gib       = 120
    }
  }
  nullable = false

  validation {
    condition     = length(var.pools) > 0 && alltrue([for name, pool in var.pools : can(regex("^[a-z][a-z0-9]{0,15}$", name)) && length(pool.instance_types) > 0])
    error_message = "Name a pool with lower-case letters and digits, and give it at least one instance type."
  }

  validation {
    condition     = alltrue([for pool in values(var.pools) : can(regex("^(ami-[0-9a-f]+|resolve:ssm:/[A-Za-z0-9/_.-]+)$", pool.image))])
    error_message = "An image is ami-... or resolve:ssm:/path/of/a/public/parameter."
  }

  validation {
    condition     = alltrue([for pool in values(var.pools) : pool.disk_gib >= 30 && pool.disk_gib <= 1000])
    error_message = "A disk has 30 to 1000 GiB."
  }
}

variable "zones" {
  description = "Availability zones; more of them have more spot machines."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.zones) >= 1 && length(distinct(var.zones)) == length(var.zones) && length(var.zones) <= 8
    error_message = "Name one to eight different availability zones."
  }
}

variable "cidr" {
  description = "Private address range of the runners' own network, connected with no other."
  type        = string
  default     = "10.91.0.0/20"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.cidr)) && can(regex("^(10|172\\.(1[6-9]|2[0-9]|3[01])|192\\.168)\\.", var.cidr)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "Give a private IPv4 range with a prefix from /16, the largest that AWS takes, to /24."
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
