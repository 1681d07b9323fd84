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

run "tells_before_the_money_is_spent" {
  command = plan

  assert {
    condition     = aws_budgets_budget.monthly.time_unit == "MONTHLY" && aws_budgets_budget.monthly.limit_amount == "300" && aws_budgets_budget.monthly.limit_unit == "USD"
    error_message = "The budget must be of a month, in dollars."
  }

  assert {
    condition     = toset([for told in aws_budgets_budget.monthly.notification : told.threshold if told.notification_type == "ACTUAL"]) == toset([50, 80, 100])
    error_message = "What is spent must be told at each share."
  }

  assert {
    condition     = [for told in aws_budgets_budget.monthly.notification : told.threshold if told.notification_type == "FORECASTED"] == [100]
    error_message = "A forecast above the budget must be told."
  }

  assert {
    condition     = alltrue([for told in aws_budgets_budget.monthly.notification : told.subscriber_email_addresses == toset(["ann@example.org"]) && told.threshold_type == "PERCENTAGE"])
    error_message = "Everybody who is named must be told."
  }

  assert {
    condition     = alltrue([for told in aws_budgets_budget.monthly.notification : told.comparison_operator == "GREATER_THAN"])
    error_message = "A budget must tell when more is spent, not less."
  }
}

run "counts_one_tag" {
  command = plan

  variables {
    tag = { key = "Project", value = "shop" }
  }

  assert {
    condition     = [for filter in aws_budgets_budget.monthly.cost_filter : [filter.name, filter.values[0]]] == [["TagKeyValue", "user:Project$shop"]]
    error_message = "Only resources with the tag must count."
  }
}

run "tells_a_topic_instead" {
  command = plan

  variables {
    emails    = []
    topic_arn = "arn:aws:sns:eu-central-1:111122223333:shop-dev-alarms"
  }

  assert {
    condition     = alltrue([for told in aws_budgets_budget.monthly.notification : told.subscriber_sns_topic_arns == toset([var.topic_arn])])
    error_message = "The topic must be told."
  }
}
