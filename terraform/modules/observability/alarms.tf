locals {
  service = var.service == null ? {} : {
    LoadBalancer = var.service.load_balancer_arn_suffix
    TargetGroup  = var.service.target_group_arn_suffix
  }
  served  = var.service == null ? 0 : 1
  monitor = { model = var.model, environment = var.environment }
  actions = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  count = local.served

  alarm_name          = "${var.name}-5xx"
  alarm_description   = "More than ${var.error_percent} % of requests fail. Read the log of the server; roll back if it began with a release."
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.error_percent
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  treat_missing_data  = "notBreaching" # no request, no failure
  alarm_actions       = local.actions
  ok_actions          = local.actions
  tags                = var.tags

  metric_query {
    id          = "share"
    label       = "5xx in per cent"
    expression  = "100 * (FILL(target, 0) + FILL(balancer, 0)) / (FILL(requests, 0) + FILL(balancer, 0))"
    return_data = true
  }

  metric_query {
    id = "target"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "HTTPCode_Target_5XX_Count"
      dimensions  = local.service
      period      = 60
      stat        = "Sum"
    }
  }

  # Of the load balancer itself: no task, or one that does not respond. `RequestCount` does not count these.
  metric_query {
    id = "balancer"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "HTTPCode_ELB_5XX_Count"
      dimensions  = { LoadBalancer = var.service.load_balancer_arn_suffix }
      period      = 60
      stat        = "Sum"
    }
  }

  metric_query {
    id = "requests"

    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "RequestCount"
      dimensions  = { LoadBalancer = var.service.load_balancer_arn_suffix }
      period      = 60
      stat        = "Sum"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "p95" {
  count = local.served

  alarm_name                            = "${var.name}-p95"
  alarm_description                     = "The slowest 5 % of requests take longer than ${var.p95_seconds} s, in three of five minutes."
  namespace                             = "AWS/ApplicationELB"
  metric_name                           = "TargetResponseTime"
  dimensions                            = local.service
  extended_statistic                    = "p95"
  evaluate_low_sample_count_percentiles = "ignore" # a percentile of three requests says nothing
  period                                = 60
  comparison_operator                   = "GreaterThanThreshold"
  threshold                             = var.p95_seconds
  evaluation_periods                    = 5
  datapoints_to_alarm                   = 3
  treat_missing_data                    = "notBreaching"
  alarm_actions                         = local.actions
  ok_actions                            = local.actions
  tags                                  = var.tags
}

# A service without a task reports nothing at all, so missing data is the alarm.
resource "aws_cloudwatch_metric_alarm" "no_task" {
  count = local.served

  alarm_name          = "${var.name}-no-task"
  alarm_description   = "No task is ready. Read the events of the service and the log of the containers `fetch` and `server`."
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HealthyHostCount"
  dimensions          = local.service
  statistic           = "Maximum" # a zone may well have no task
  period              = 60
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "drift" {
  alarm_name          = "${var.name}-drift"
  alarm_description   = "A column is further from the reference than its band allows. The issue of the alert and the dashboard of the monitor say which."
  namespace           = var.namespace
  metric_name         = "drift_score"
  dimensions          = local.monitor
  statistic           = "Maximum"
  period              = 86400
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.drift_score
  evaluation_periods  = var.drift_window_days
  datapoints_to_alarm = var.drift_days
  treat_missing_data  = "missing" # a day that was not looked at says nothing; that nobody looked is the next alarm
  alarm_actions       = local.actions
  ok_actions          = local.actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "findings" {
  alarm_name          = "${var.name}-critical-findings"
  alarm_description   = "The monitor has a critical finding. Its issue says what to do."
  namespace           = var.namespace
  metric_name         = "critical_findings"
  dimensions          = local.monitor
  statistic           = "Maximum"
  period              = 86400
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "missing"
  alarm_actions       = local.actions
  ok_actions          = local.actions
  tags                = var.tags
}

# The dead man's switch: a monitor that does not run raises no alarm by itself.
resource "aws_cloudwatch_metric_alarm" "heartbeat" {
  alarm_name          = "${var.name}-monitor-silent"
  alarm_description   = "No run of the monitor for ${var.heartbeat_hours} hours. Look at the workflow `monitor`: its schedule, its runner, its log."
  namespace           = var.namespace
  metric_name         = "monitor_runs"
  dimensions          = local.monitor
  statistic           = "Sum"
  period              = 21600
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = var.heartbeat_hours / 6
  datapoints_to_alarm = var.heartbeat_hours / 6
  treat_missing_data  = "breaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
  tags                = var.tags
}
