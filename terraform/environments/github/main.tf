provider "github" {
  owner = var.owner
  token = var.token
}

module "repository" {
  source = "../../modules/github_repo"

  repository            = var.repository
  bot_app_id            = var.bot_app_id
  variables             = var.variables
  allowed_actions       = var.allowed_actions
  reviewed_environments = toset([for name, reviewed in var.environments : name if reviewed])
  required_checks       = var.required_checks
  required_approvals    = var.required_approvals

  workflows_open_pull_requests = var.workflows_open_pull_requests

  environments = {
    for name, reviewed in var.environments : name => reviewed ? { users = var.approvers, self_review = var.self_review } : { users = [], self_review = false }
  }
}
