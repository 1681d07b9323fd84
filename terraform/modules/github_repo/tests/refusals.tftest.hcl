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

run "refuses_an_environment_of_every_branch" {
  command = plan

  variables {
    environments          = { aws-dev = { branches = ["main", "*"] } }
    reviewed_environments = []
  }

  expect_failures = [var.environments]
}

run "refuses_an_environment_that_nobody_reviews" {
  command = plan

  variables {
    reviewed_environments = ["aws-dev"]
  }

  expect_failures = [var.reviewed_environments]
}

run "refuses_one_who_would_approve_himself" {
  command = plan

  variables {
    environments = { aws-prod = { users = [1] } }
  }

  expect_failures = [var.reviewed_environments]
}

run "lets_one_person_approve_if_asked" {
  command = plan

  variables {
    environments = { aws-prod = { users = [1], self_review = true } }
  }
}

run "refuses_workflows_that_approve_alone" {
  command = plan

  variables {
    workflows_open_pull_requests = true
  }

  expect_failures = [var.workflows_open_pull_requests]
}

run "refuses_a_check_of_anybody" {
  command = plan

  variables {
    required_checks = { model = 0 }
  }

  expect_failures = [var.required_checks]
}

run "refuses_no_check" {
  command = plan

  variables {
    required_checks = {}
  }

  expect_failures = [var.required_checks]
}

run "refuses_every_action_of_everybody" {
  command = plan

  variables {
    allowed_actions = ["*/name@*"]
  }

  expect_failures = [var.allowed_actions]
}

run "refuses_merges_that_nobody_approved" {
  command = plan

  variables {
    required_approvals = 0
  }

  expect_failures = [var.required_approvals]
}
