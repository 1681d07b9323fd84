locals {
  # What the actions of Leverframe use themselves.
  actions = ["astral-sh/setup-uv@*", "hashicorp/setup-terraform@*", "iterative/setup-cml@*"]
}

# What a merge into the default branch needs. Nobody bypasses it, administrators included.
resource "github_repository_ruleset" "default_branch" {
  name        = "leverframe: ${var.default_branch}"
  repository  = var.repository
  target      = "branch"
  enforcement = "active"

  conditions {
    ref_name {
      include = ["refs/heads/${var.default_branch}"]
      exclude = []
    }
  }

  rules {
    deletion         = true
    non_fast_forward = true

    pull_request {
      required_approving_review_count   = var.required_approvals
      dismiss_stale_reviews_on_push     = true
      require_last_push_approval        = true
      required_review_thread_resolution = true
      require_code_owner_review         = true
    }

    required_status_checks {
      # The plan and the gate are of the merged state: a branch that is behind is brought up to date first.
      strict_required_status_checks_policy = true

      dynamic "required_check" {
        for_each = var.required_checks

        content {
          context        = required_check.key
          integration_id = required_check.value
        }
      }
    }
  }
}

# The branches on which Leverframe keeps results: plans that were reviewed, alerts, attempts. It starts them anew from
# time to time, so pushes that are no fast forward are allowed to the App.
resource "github_repository_ruleset" "kept" {
  name        = "leverframe: leverframe-*"
  repository  = var.repository
  target      = "branch"
  enforcement = "active"

  conditions {
    ref_name {
      include = ["refs/heads/leverframe-*"]
      exclude = []
    }
  }

  rules {
    deletion = true
    creation = var.bot_app_id != null
    update   = var.bot_app_id != null
  }

  dynamic "bypass_actors" {
    for_each = var.bot_app_id == null ? [] : [var.bot_app_id]

    content {
      actor_id    = bypass_actors.value
      actor_type  = "Integration"
      bypass_mode = "always"
    }
  }
}

# Tags of versions and deployments say what serves where: they are written once.
resource "github_repository_ruleset" "tags" {
  name        = "leverframe: tags"
  repository  = var.repository
  target      = "tag"
  enforcement = "active"

  conditions {
    ref_name {
      include = ["refs/tags/*@v*", "refs/tags/*#*"]
      exclude = []
    }
  }

  rules {
    deletion         = true
    update           = true
    non_fast_forward = true
  }
}

resource "github_repository_environment" "this" {
  for_each = var.environments

  repository          = var.repository
  environment         = each.key
  can_admins_bypass   = false
  prevent_self_review = length(each.value.users) + length(each.value.teams) > 0 && !each.value.self_review

  dynamic "reviewers" {
    for_each = length(each.value.users) + length(each.value.teams) == 0 ? [] : [each.value]

    content {
      users = reviewers.value.users
      teams = reviewers.value.teams
    }
  }

  deployment_branch_policy {
    protected_branches     = false
    custom_branch_policies = true
  }
}

resource "github_repository_environment_deployment_policy" "this" {
  for_each = merge([for name, settings in var.environments : { for branch in settings.branches : "${name}:${branch}" => { name = name, branch = branch } }]...)

  repository     = var.repository
  environment    = github_repository_environment.this[each.value.name].environment
  branch_pattern = each.value.branch
}

resource "github_issue_label" "this" {
  for_each = var.labels

  repository  = var.repository
  name        = each.key
  color       = each.value.color
  description = each.value.description
}

resource "github_actions_repository_permissions" "this" {
  repository      = var.repository
  enabled         = true
  allowed_actions = "selected"

  allowed_actions_config {
    github_owned_allowed = true
    verified_allowed     = false
    patterns_allowed     = setunion(local.actions, var.allowed_actions)
  }
}

# A job gets what it asks for under `permissions`, and nothing if it asks for nothing.
resource "github_workflow_repository_permissions" "this" {
  repository                       = var.repository
  default_workflow_permissions     = "read"
  can_approve_pull_request_reviews = var.workflows_open_pull_requests # GitHub has one switch for opening and approving
}

resource "github_actions_variable" "this" {
  for_each = var.variables

  repository    = var.repository
  variable_name = each.key
  value         = each.value
}
