variable "token" {
  description = "Token that may change the settings; `infra.environments.github.secrets` names its environment variable."
  type        = string
  nullable    = false
  sensitive   = true
}

variable "owner" {
  description = "Owner of the repository."
  type        = string
  nullable    = false
}

variable "repository" {
  description = "Name of the repository, without its owner."
  type        = string
  nullable    = false
}

variable "approvers" {
  description = "Ids of users who approve jobs of production; `gh api users/NAME --jq .id` prints one."
  type        = set(number)
  nullable    = false

  validation {
    condition     = length(var.approvers) >= (var.self_review ? 1 : 2) && length(var.approvers) <= 6
    error_message = "Name two to six users: nobody approves a job that he started, unless self_review is true."
  }
}

variable "self_review" {
  description = "Whether an approver may approve a job that he started himself."
  type        = bool
  default     = false
  nullable    = false
}

variable "environments" {
  description = "Environments of GitHub, and whether `approvers` approve their jobs: every name that `deployments` of aws-account gives to `infra` and `deploy`, whose roles AWS gives to whoever runs a job in it, and those of `retrain` and `runners`."
  type        = map(bool)
  default = {
    aws-dev    = false # applies infrastructure of staging
    aws-prod   = true  # applies infrastructure of production
    staging    = false # deploys models
    production = true
    retrain    = false # holds the key of the App that opens pull requests
    runners    = false # starts machines; stopping them must wait for nobody
  }
  nullable = false
}

variable "required_checks" {
  description = "Checks that a merge needs, by the id of the app that reports them; null for that of the workflows which `leverframe init` writes."
  type        = map(number)
  default     = null
}

variable "required_approvals" {
  description = "Approvals that a merge needs."
  type        = number
  default     = 1
  nullable    = false
}

variable "workflows_open_pull_requests" {
  description = "Whether `retrain` opens pull requests with the built-in token; GitHub then lets workflows approve, too, so two approvals are required."
  type        = bool
  default     = false
  nullable    = false
}

variable "bot_app_id" {
  description = "Id of the GitHub App with whose token workflows push to the branches leverframe-*; null where they use the built-in token."
  type        = number
  default     = null
}

variable "variables" {
  description = "Variables of Actions that workflows read; no secret."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "allowed_actions" {
  description = "Actions that workflows may use besides those of GitHub and what Leverframe's actions use, each as owner/name@commit or owner/name@*: Leverframe's own, as OWNER/leverframe/*@*."
  type        = set(string)
  nullable    = false
}
