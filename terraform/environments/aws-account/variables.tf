variable "name" {
  description = "Name of the project and beginning of the names of what its deployments share, such as shop."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,10}[a-z0-9]$", var.name))
    error_message = "Use 3 to 12 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "account_id" {
  description = "The account; a plan with credentials of another one fails."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account has twelve digits."
  }
}

variable "region" {
  description = "Region of everything."
  type        = string
  nullable    = false
}

variable "zones" {
  description = "Availability zones, at least two."
  type        = list(string)
  nullable    = false
}

variable "repository" {
  description = "The one repository whose workflows get roles, as OWNER/NAME."
  type        = string
  nullable    = false
}

variable "repository_ids" {
  description = "Numbers of the owner and of the repository, where GitHub puts them into the subject of its tokens."
  type        = object({ owner = number, repository = number })
  default     = null
}

variable "branches" {
  description = "Branches whose runs may plan besides those of pull requests; `leverframe/retrain-MODEL` where candidates are proposed with GitHub's built-in token."
  type        = set(string)
  default     = ["main"]
  nullable    = false
}

variable "deployments" {
  description = "Deployments in this account, by a name such as shop-dev: the environment of leverframe.yaml, which is that of GitHub whose jobs apply, the environment of GitHub whose jobs deploy models, and what its roles may do besides."
  type        = map(object({ infra = string, deploy = string, boundary_statements = optional(list(object({ actions = set(string), resources = set(string) })), []) }))
  nullable    = false

  # The roles of a deployment are known by the beginning of their names, so it must be the beginning of no other's.
  validation {
    condition = alltrue([
      for pair in setproduct(keys(var.deployments), keys(var.deployments)) : !startswith(pair[1], "${pair[0]}-")
    ])
    error_message = "A deployment must not begin with the name of another and a hyphen, as shop-prod-eu does beside shop-prod: the job that applies one could change the roles of the other. Name them shop-prod and shop-prodeu."
  }

  validation {
    condition = alltrue([
      for name in keys(var.deployments) : !contains(["data", "flow", "reader", "runners", "state"], split("-", trimprefix(name, "${var.name}-"))[0])
    ])
    error_message = "Names such as shop-runners belong to what deployments share: name no deployment data, flow, reader, runners or state."
  }

  validation {
    condition     = alltrue([for name in keys(var.deployments) : startswith(name, "${var.name}-") && length(name) <= 15])
    error_message = "A deployment has the name of the project, a hyphen and a word, at most 15 characters together."
  }

  validation {
    condition     = length(distinct([for deployment in values(var.deployments) : deployment.infra])) == length(var.deployments)
    error_message = "Each deployment needs an environment, and so a state, of its own."
  }
}

variable "runners" {
  description = "Whether there is a pool of machines for `reproduce`; it costs nothing while no machine runs."
  type        = bool
  default     = false
  nullable    = false
}

variable "pull_requests_read_data" {
  description = "Whether there is a role with which runs of pull requests and of `branches` read the DVC remote; their code is not reviewed yet, so they can copy what they read."
  type        = bool
  default     = false
  nullable    = false
}

variable "budget" {
  description = "What a month of the whole account may cost, and who is told before it does; null for no such budget."
  type        = object({ monthly_usd = number, emails = set(string) })
  default     = null
}
