mock_provider "github" {}

variables {
  token      = "of-nobody"
  owner      = "acme"
  repository = "shop"
  approvers  = [1, 2]

  allowed_actions = ["OWNER/leverframe/*@*"]
}

run "wires_the_module" {
  assert {
    condition     = toset(output.environments) == toset(["aws-dev", "aws-prod", "staging", "production", "retrain", "runners"])
    error_message = "The environments must be those that the workflows and the roles name."
  }

  assert {
    condition     = alltrue([for branches in values(module.repository.branches) : branches == tolist(["main"])])
    error_message = "Jobs of an environment must come from the default branch."
  }
}

run "refuses_production_without_approval" {
  command = plan

  variables {
    approvers = [1]
  }

  expect_failures = [var.approvers]
}
