resource "aws_budgets_budget" "monthly" {
  name         = var.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.monthly_usd)
  limit_unit   = "USD"
  tags         = var.tags

  dynamic "cost_filter" {
    for_each = var.tag == null ? [] : [var.tag]

    content {
      name   = "TagKeyValue"
      values = [format("user:%s$%s", cost_filter.value.key, cost_filter.value.value)]
    }
  }

  dynamic "notification" {
    for_each = var.actual_percent

    content {
      notification_type          = "ACTUAL"
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = var.emails
      subscriber_sns_topic_arns  = var.topic_arn == null ? [] : [var.topic_arn]
    }
  }

  notification {
    notification_type          = "FORECASTED"
    comparison_operator        = "GREATER_THAN"
    threshold                  = var.forecast_percent
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = var.emails
    subscriber_sns_topic_arns  = var.topic_arn == null ? [] : [var.topic_arn]
  }

  lifecycle {
    precondition {
      condition     = length(var.emails) > 0 || var.topic_arn != null
      error_message = "Nobody would be told: give emails or topic_arn."
    }
  }
}
