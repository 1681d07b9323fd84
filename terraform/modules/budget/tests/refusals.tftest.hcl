mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-central-1" }
  }
}

variables {
  name        = "shop-dev-monthly"
  monthly_usd = 300
  emails      = ["ann@example.org"]
}

run "refuses_a_budget_that_tells_nobody" {
  command = plan

  variables {
    emails = []
  }

  expect_failures = [aws_budgets_budget.monthly]
}

run "refuses_nothing_to_spend" {
  command = plan

  variables {
    monthly_usd = 0
  }

  expect_failures = [var.monthly_usd]
}

run "refuses_too_many_notifications" {
  command = plan

  variables {
    actual_percent = [20, 40, 60, 80, 100]
  }

  expect_failures = [var.actual_percent]
}

run "refuses_what_is_no_address" {
  command = plan

  variables {
    emails = ["ann"]
  }

  expect_failures = [var.emails]
}
