variable "name" {
  description = "Name of the deployment and beginning of the names around it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "Use 3 to 24 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "model" {
  description = "Name of the model, as `leverframe monitor` writes it: the dimension `model` of its metrics."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment of `deploy.environments`, the dimension `environment` of its metrics."
  type        = string
  nullable    = false
}

variable "namespace" {
  description = "Namespace to which `publish.py` sends the metrics of the monitor."
  type        = string
  default     = "Leverframe"
  nullable    = false

  validation {
    condition     = !startswith(var.namespace, "AWS/")
    error_message = "Namespaces that begin with AWS/ belong to AWS."
  }
}

variable "service" {
  description = "Load balancer and target group in the dimensions of their metrics; null if there are none, and then no alarm of a service."
  type = object({
    load_balancer_arn_suffix = string
    target_group_arn_suffix  = string
  })
  default = null
}

variable "log_days" {
  description = "Days for which logs are kept."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "CloudWatch Logs knows 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 days and some more; for ever is not one of ours."
  }
}

variable "emails" {
  description = "Who is told of alarms, by e-mail; each has to confirm the subscription."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "Give e-mail addresses."
  }
}

variable "error_percent" {
  description = "Share of 5xx responses, in per cent, from which there is an alarm."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.error_percent > 0 && var.error_percent < 100
    error_message = "Give a percentage between 0 and 100."
  }
}

variable "p95_seconds" {
  description = "95th percentile of the response time, in seconds, from which there is an alarm."
  type        = number
  default     = 0.5
  nullable    = false

  validation {
    condition     = var.p95_seconds > 0
    error_message = "Give more than 0 seconds."
  }
}

variable "drift_score" {
  description = "Drift score from which there is an alarm: the largest distance of a column relative to its band. Beyond 1 a column is out of its band."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.drift_score > 0
    error_message = "Give more than 0; 1 is the edge of the band."
  }
}

variable "drift_days" {
  description = "How many of the last `drift_window_days` must be beyond `drift_score`, as the monitor's own rule has 2 of 3."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.drift_days >= 1 && var.drift_days <= var.drift_window_days
    error_message = "Give 1 to drift_window_days."
  }
}

variable "drift_window_days" {
  description = "Days that the drift alarm looks at."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.drift_window_days >= 1 && var.drift_window_days <= 7
    error_message = "CloudWatch looks back over at most 7 days."
  }
}

variable "heartbeat_hours" {
  description = "Hours without a run of the monitor after which there is an alarm; more than the time between two runs."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.heartbeat_hours >= 6 && var.heartbeat_hours <= 168 && var.heartbeat_hours % 6 == 0
    error_message = "Give a multiple of 6 from 6 to 168 hours: CloudWatch looks back over at most 7 days."
  }
}

variable "publisher" {
  description = "Who sends the figures of the monitor: the OIDC provider of GitHub in this account, and subjects of its tokens such as repo:acme/shop:ref:refs/heads/main. Null where something else has the permission."
  type        = object({ provider_arn = string, subjects = set(string) })
  default     = null

  validation {
    condition     = var.publisher == null || try(length(var.publisher.subjects) > 0 && alltrue([for subject in var.publisher.subjects : can(regex("^repo:[^*]+:(ref:refs/heads|environment:)[^*]+$", subject))]), false)
    error_message = "Name each subject with its branch or environment, without a pattern."
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
