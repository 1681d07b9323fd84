variable "name" {
  description = "Name of the budget."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9 _.-]{1,100}$", var.name))
    error_message = "Use at most 100 letters, digits, spaces, dots, hyphens and underscores."
  }
}

variable "monthly_usd" {
  description = "What a month may cost, in US dollars."
  type        = number
  nullable    = false

  validation {
    condition     = var.monthly_usd > 0
    error_message = "A budget is more than zero; with zero every cent is an alarm that nobody reads."
  }
}

variable "emails" {
  description = "Who is told, by e-mail."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.emails) <= 10 && alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", email))])
    error_message = "Give at most ten e-mail addresses: a notification of a budget has no more."
  }
}

variable "topic_arn" {
  description = "SNS topic that is told; its policy lets budgets.amazonaws.com publish. Null for none."
  type        = string
  default     = null
}

variable "actual_percent" {
  description = "Shares of the budget, in per cent, that are told once they are spent."
  type        = set(number)
  default     = [50, 80, 100]
  nullable    = false

  validation {
    condition     = length(var.actual_percent) >= 1 && length(var.actual_percent) <= 4 && alltrue([for share in var.actual_percent : share > 0 && share <= 1000])
    error_message = "Give one to four percentages above 0: a budget has five notifications, and one is the forecast."
  }
}

variable "forecast_percent" {
  description = "Share of the budget, in per cent, that is told once AWS forecasts it for the end of the month."
  type        = number
  default     = 100
  nullable    = false

  validation {
    condition     = var.forecast_percent > 0 && var.forecast_percent <= 1000
    error_message = "Give a percentage above 0."
  }
}

variable "tag" {
  description = "Count only resources with this tag, which must be active as a cost allocation tag. Null counts the account."
  type        = object({ key = string, value = string })
  default     = null
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
