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
    condition     = length(var.approvers) > 0 && length(var.approvers) <= 6
    error_message = "Name one to six users."
  }
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
  description = "Actions that workflows may use besides those of GitHub, each as owner/name@commit or owner/name@*."
  type        = set(string)
  default     = []
  nullable    = false
}
