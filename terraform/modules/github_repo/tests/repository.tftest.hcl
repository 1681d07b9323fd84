mock_provider "github" {}

variables {
  repository = "shop"
  bot_app_id = 12345

  environments = {
    aws-dev  = {}
    aws-prod = { users = [1], teams = [2] }
  }
  reviewed_environments = ["aws-prod"]
}

run "merges_what_was_checked" {
  command = plan

  assert {
    condition     = github_repository_ruleset.default_branch.enforcement == "active" && github_repository_ruleset.default_branch.conditions[0].ref_name[0].include == tolist(["refs/heads/main"])
    error_message = "The rules must be in force, for the default branch."
  }

  assert {
    condition = { for check in github_repository_ruleset.default_branch.rules[0].required_status_checks[0].required_check : check.context => check.integration_id } == {
      "leverframe" = 15368
    }
    error_message = "The verdict must be required, and of GitHub Actions alone; a job of the pull request's own code says nothing."
  }

  assert {
    condition     = github_repository_ruleset.default_branch.rules[0].required_status_checks[0].strict_required_status_checks_policy
    error_message = "A branch must be up to date: a plan of another state says nothing."
  }

  assert {
    condition     = github_repository_ruleset.default_branch.rules[0].deletion && github_repository_ruleset.default_branch.rules[0].non_fast_forward && length(github_repository_ruleset.default_branch.bypass_actors) == 0
    error_message = "Nobody may delete or rewrite the default branch, and nobody bypasses the rules."
  }

  assert {
    condition = alltrue([
      github_repository_ruleset.default_branch.rules[0].pull_request[0].required_approving_review_count == 1,
      github_repository_ruleset.default_branch.rules[0].pull_request[0].dismiss_stale_reviews_on_push,
      github_repository_ruleset.default_branch.rules[0].pull_request[0].require_last_push_approval,
      github_repository_ruleset.default_branch.rules[0].pull_request[0].require_code_owner_review,
    ])
    error_message = "What is merged must be what was approved, and by somebody else."
  }
}

run "keeps_branches_of_leverframe" {
  command = plan

  assert {
    condition     = github_repository_ruleset.kept.conditions[0].ref_name[0].include == tolist(["refs/heads/leverframe-*"]) && alltrue([github_repository_ruleset.kept.rules[0].creation, github_repository_ruleset.kept.rules[0].update, github_repository_ruleset.kept.rules[0].deletion])
    error_message = "Nobody but the App may write the branches leverframe-*."
  }

  assert {
    condition     = [for actor in github_repository_ruleset.kept.bypass_actors : [actor.actor_id, actor.actor_type, actor.bypass_mode]] == [[12345, "Integration", "always"]]
    error_message = "Only the App may bypass that."
  }

  assert {
    condition     = github_repository_ruleset.tags.rules[0].update && github_repository_ruleset.tags.rules[0].deletion
    error_message = "A tag of a deployment must stay what it is."
  }
}

run "lets_the_built_in_token_push" {
  command = plan

  variables {
    bot_app_id = null
  }

  assert {
    condition     = !github_repository_ruleset.kept.rules[0].update && !github_repository_ruleset.kept.rules[0].creation && github_repository_ruleset.kept.rules[0].deletion
    error_message = "Without an App the built-in token must be able to push, which no rule can name."
  }
}

run "protects_environments" {
  command = plan

  assert {
    condition     = alltrue([for environment in github_repository_environment.this : !environment.can_admins_bypass && environment.deployment_branch_policy[0].custom_branch_policies])
    error_message = "Nobody bypasses an environment, and its branches are named."
  }

  assert {
    condition     = { for key, policy in github_repository_environment_deployment_policy.this : key => policy.branch_pattern } == { "aws-dev:main" = "main", "aws-prod:main" = "main" }
    error_message = "Jobs of an environment must come from the default branch."
  }

  assert {
    condition     = github_repository_environment.this["aws-prod"].prevent_self_review && github_repository_environment.this["aws-prod"].reviewers[0].users == toset([1])
    error_message = "Somebody else must approve jobs of production."
  }
}

run "has_labels_of_the_settings" {
  command = plan

  assert {
    condition     = toset([for label in github_issue_label.this : label.name]) == toset(["infra-destroy", "infra-drift", "leverframe-alert"])
    error_message = "The labels must have the names that the settings have by default."
  }
}

run "allows_selected_actions" {
  command = plan

  assert {
    condition     = github_actions_repository_permissions.this.allowed_actions == "selected" && !github_actions_repository_permissions.this.allowed_actions_config[0].verified_allowed
    error_message = "Only actions that are named may run."
  }

  assert {
    condition     = github_workflow_repository_permissions.this.default_workflow_permissions == "read"
    error_message = "A job must ask for what it may write."
  }

  assert {
    condition     = !github_workflow_repository_permissions.this.can_approve_pull_request_reviews
    error_message = "A workflow of anybody's branch must not count as somebody else who approves."
  }
}
