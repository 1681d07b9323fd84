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
  reviewed_environments = ["aws-prod", "production"]

  environments = {
    aws-dev    = {}                        # applies infrastructure of staging
    aws-prod   = { users = var.approvers } # applies infrastructure of production
    staging    = {}                        # deploys models
    production = { users = var.approvers }
    retrain    = {} # holds the key of the App that opens pull requests
    runners    = {} # starts machines; stopping them must wait for nobody
  }
}
