variable "repository" {
  description = "Name of the repository, without its owner. It exists already: this module does not create or delete it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.repository))
    error_message = "Give the name alone, such as shop, not acme/shop."
  }
}

variable "default_branch" {
  description = "Branch that pull requests are merged into."
  type        = string
  default     = "main"
  nullable    = false
}

variable "required_checks" {
  description = "Checks that a pull request needs before it is merged, by the app that may report them: 15368 is GitHub Actions."
  type        = map(number)
  default = {
    "leverframe" = 15368 # the verdict by the code of the base branch, also of a fork; with an App of its own, the id of that
  }
  nullable = false

  validation {
    condition     = length(var.required_checks) > 0
    error_message = "Without a required check everything may be merged."
  }

  validation {
    condition     = alltrue([for app in values(var.required_checks) : app > 0])
    error_message = "Name the app that reports a check: without it anybody with write access reports success."
  }
}

variable "required_approvals" {
  description = "Approving reviews that a pull request needs."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.required_approvals >= 1 && var.required_approvals <= 10
    error_message = "Require at least one approval: somebody reads a plan before it is applied."
  }
}

variable "environments" {
  description = "Environments by name, with the ids of users and teams who approve a job, the branches from which jobs may come, and whether somebody may approve a job that he started."
  type = map(object({
    users       = optional(set(number), [])
    teams       = optional(set(number), [])
    branches    = optional(set(string), ["main"])
    self_review = optional(bool, false)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for settings in values(var.environments) : length(settings.branches) > 0 && alltrue([for branch in settings.branches : !contains(["*", "**", "**/*"], branch)])])
    error_message = "Name the branches of an environment: with every branch, a pull request that changes a workflow gets the roles and secrets of it."
  }

  validation {
    condition     = alltrue([for settings in values(var.environments) : length(settings.users) + length(settings.teams) <= 6])
    error_message = "GitHub knows at most six reviewers of an environment."
  }
}

variable "reviewed_environments" {
  description = "Environments whose jobs somebody has to approve; the others may do without reviewers."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.reviewed_environments : try(length(var.environments[name].users) > (var.environments[name].self_review ? 0 : 1) || length(var.environments[name].teams) > 0, false)])
    error_message = "An environment in reviewed_environments needs two users or a team: nobody approves what he started himself, unless self_review is true."
  }
}

variable "labels" {
  description = "Labels that Leverframe reads or sets, with colour and description."
  type        = map(object({ color = string, description = string }))
  default = {
    "infra-destroy"    = { color = "b60205", description = "This pull request may destroy or replace protected resources" }
    "infra-drift"      = { color = "d93f0b", description = "An environment is not as its code says" }
    "leverframe-alert" = { color = "fbca04", description = "Alert of leverframe monitor" }
  }
  nullable = false

  validation {
    condition     = alltrue([for label in values(var.labels) : can(regex("^[0-9a-f]{6}$", label.color)) && length(label.description) <= 100])
    error_message = "A colour has six lower-case hexadecimal digits without #, a description at most 100 characters."
  }
}

variable "allowed_actions" {
  description = "Patterns of actions that workflows may use besides those of GitHub and what Leverframe's own actions use, each as owner/name@commit or owner/name@*."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for pattern in var.allowed_actions : can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.*/-]+)?@", pattern))])
    error_message = "Name owner and action, such as aws-actions/configure-aws-credentials@*: a wildcard for the owner allows everything."
  }
}

variable "workflows_open_pull_requests" {
  description = "Whether the built-in token may open pull requests, which `retrain` needs where it has no App. GitHub then lets it approve them, too: a workflow of anybody's branch counts as somebody else."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.workflows_open_pull_requests || var.required_approvals >= 2
    error_message = "Where workflows may approve, require two approvals: with one, whoever may push merges alone."
  }
}

variable "bot_app_id" {
  description = "Id of the GitHub App with whose token workflows push to the branches leverframe-*; null where they use the built-in token."
  type        = number
  default     = null
}

variable "variables" {
  description = "Variables of Actions that workflows read, such as ENVIRONMENT; no secret."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.variables) : can(regex("^[A-Z_][A-Z0-9_]*$", name)) && !startswith(name, "GITHUB_")])
    error_message = "Use upper-case letters, digits and underscores; names that begin with GITHUB_ are taken."
  }
}
