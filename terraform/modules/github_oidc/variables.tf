variable "name" {
  description = "Prefix of the names of roles, and of everything that the apply role may create."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,31}$", var.name))
    error_message = "A prefix has 3 to 32 small letters, digits and hyphens: it limits what the apply role may touch."
  }
}

variable "repository" {
  description = "The one repository whose workflows may take the roles, as OWNER/NAME."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.repository))
    error_message = "Give one repository as OWNER/NAME. A pattern would let every repository that matches it take the roles."
  }
}

variable "repository_ids" {
  description = "Numbers of the owner and of the repository, where GitHub puts them into the subject of its tokens: by default in repositories that were created or renamed since 15 July 2026."
  type = object({
    owner      = number
    repository = number
  })
  default = null

  validation {
    condition = var.repository_ids == null || try(alltrue([
      for id in [var.repository_ids.owner, var.repository_ids.repository] : id >= 1 && floor(id) == id
    ]), false)
    error_message = "Numbers of an owner and a repository are whole; `gh api repos/OWNER/NAME --jq '.owner.id, .id'` prints them."
  }
}

variable "provider_arn" {
  description = "OIDC provider of GitHub, where the account has one already; null creates it."
  type        = string
  default     = null

  validation {
    condition     = var.provider_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.provider_arn))
    error_message = "Give the ARN of the provider for token.actions.githubusercontent.com: any other issuer could sign tokens for this repository."
  }
}

variable "branches" {
  description = "Branches whose runs may plan besides those of pull requests: the default branch, where drift is found every night, and `leverframe/retrain-MODEL` where candidates are proposed with GitHub's built-in token."
  type        = set(string)
  default     = ["main"]
  nullable    = false

  validation {
    condition     = alltrue([for branch in var.branches : can(regex("^[A-Za-z0-9._/-]+$", branch))])
    error_message = "Give names of branches, without a pattern."
  }
}

variable "apply_environment" {
  description = "Environment of GitHub whose jobs may apply; protect it with reviewers."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.apply_environment))
    error_message = "Give the name of one environment, of letters, digits, dots, underscores and hyphens."
  }
}

variable "deploy_environment" {
  description = "Environment of GitHub whose jobs may deploy a model."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.deploy_environment))
    error_message = "Give the name of one environment, of letters, digits, dots, underscores and hyphens."
  }
}

variable "state" {
  description = "Where the state is: what `aws_state_backend` puts out, and the key of this environment."
  type = object({
    bucket_arn  = string
    kms_key_arn = string
    key         = string
  })
  nullable = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-][A-Za-z0-9._/-]*[A-Za-z0-9._-]$", var.state.key))
    error_message = "Give the key of one state, without a pattern and without a slash at its ends."
  }

  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+$", var.state.bucket_arn)) && can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.state.kms_key_arn))
    error_message = "Give the ARNs of one bucket and of one key."
  }
}

variable "data" {
  description = "What the deploy role may read and write: what `aws_object_store` puts out, and one prefix of it."
  type = object({
    bucket_arn  = string
    kms_key_arn = string
    prefix      = string
  })
  nullable = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-][A-Za-z0-9._/-]*[A-Za-z0-9._-]$", var.data.prefix))
    error_message = "Give one prefix of two letters or more, without a pattern and without a slash at its ends."
  }

  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+$", var.data.bucket_arn)) && can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.data.kms_key_arn))
    error_message = "Give the ARNs of one bucket and of one key."
  }
}

variable "service" {
  description = "The one ECS service that the deploy role may update, the family of its task definitions, and the roles of its tasks; null where models are deployed otherwise."
  type = object({
    arn            = string
    task_family    = string
    task_role_arns = list(string)
  })
  default = null

  validation {
    condition     = var.service == null || can(regex("^arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:service/[A-Za-z0-9_-]+/[A-Za-z0-9_-]+$", var.service.arn))
    error_message = "Give the ARN of one service with its cluster, without a pattern."
  }

  validation {
    condition     = var.service == null || can(regex("^[A-Za-z0-9_-]+$", var.service.task_family))
    error_message = "Give the family of the task definitions, without a pattern."
  }

  validation {
    condition = var.service == null || try(length(var.service.task_role_arns) >= 1 && alltrue([
      for arn in var.service.task_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", arn))
    ]), false)
    error_message = "Give the ARNs of the roles that tasks get, without a pattern: a role that may be passed is a role that may be used."
  }
}

variable "manage" {
  description = "What the apply role may create, change and destroy, each only where its name begins with `name`."
  type        = set(string)
  default     = ["alarms", "autoscaling", "budgets", "keys", "load_balancers", "logs", "roles", "security_groups", "services", "topics"]
  nullable    = false

  validation {
    condition = length(setsubtract(var.manage, [
      "alarms", "autoscaling", "budgets", "keys", "load_balancers", "logs", "roles", "security_groups", "services", "topics",
    ])) == 0
    error_message = "The groups are alarms, autoscaling, budgets, keys, load_balancers, logs, roles, security_groups, services and topics."
  }
}

variable "apply_policy_arns" {
  description = "Further policies of the apply role, for what the module does not know."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.apply_policy_arns : can(regex("^arn:[a-z-]+:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=,.@/-]+$", arn))])
    error_message = "Give ARNs of policies, without a pattern."
  }

  validation {
    condition = alltrue([
      for arn in var.apply_policy_arns : !can(regex(":aws:policy/(AdministratorAccess|PowerUserAccess|IAMFullAccess)$", arn))
    ])
    error_message = "AdministratorAccess, PowerUserAccess and IAMFullAccess would let a merged pull request do anything in the account."
  }
}

variable "boundary_statements" {
  description = "What a role may do which the apply role creates, besides reading `data`, pulling images, writing logs of `name` and publishing metrics; such as `elasticfilesystem:ClientMount` and `ClientWrite` of one file system."
  type        = list(object({ actions = set(string), resources = set(string) }))
  default     = []
  nullable    = false

  validation {
    condition     = alltrue(flatten([for statement in var.boundary_statements : [for action in statement.actions : can(regex("^[a-z0-9-]+:[A-Za-z]+$", action))]]))
    error_message = "Name each action, without a pattern."
  }

  validation {
    condition     = alltrue(flatten([for statement in var.boundary_statements : [for action in statement.actions : !can(regex("^(iam|sts|organizations|account):", action))]]))
    error_message = "A role that may change roles has no boundary."
  }

  validation {
    condition     = alltrue(flatten([for statement in var.boundary_statements : [for arn in statement.resources : can(regex("^arn:[a-z-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:[A-Za-z0-9_+=,.@/:-]+$", arn))]]))
    error_message = "Give ARNs, without a pattern: what a role may do on everything, it may do to other deployments."
  }
}

variable "tags" {
  description = "Tags of everything that the module creates."
  type        = map(string)
  default     = {}
  nullable    = false
}
