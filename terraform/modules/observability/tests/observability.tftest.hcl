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
  name        = "shop-dev"
  model       = "rides"
  environment = "production"
  service = {
    load_balancer_arn_suffix = "app/shop-dev-serving/1"
    target_group_arn_suffix  = "targetgroup/shop-dev-serving/1"
  }
  emails = ["ann@example.org"]
}

run "keeps_logs_encrypted" {
  command = plan

  assert {
    condition     = aws_cloudwatch_log_group.server.retention_in_days == 365 && aws_cloudwatch_log_group.server.name == "/leverframe/shop-dev/server"
    error_message = "Logs must be kept for a year."
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_alias.this.name == "alias/shop-dev"
    error_message = "The key must rotate, and have a name by which roles are limited to it."
  }

  assert {
    condition     = anytrue([for statement in jsondecode(aws_kms_key.this.policy).Statement : contains(flatten([try(statement.Principal.Service, [])]), "cloudwatch.amazonaws.com") && contains(flatten([statement.Action]), "kms:GenerateDataKey*")])
    error_message = "CloudWatch must be able to write to the encrypted topic, or no alarm arrives."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_kms_key.this.policy).Statement : can(statement.Condition) || statement.Sid == "Account"])
    error_message = "Services may use the key for this account alone."
  }
}

run "encrypts_its_topic" {
  override_resource {
    target = aws_kms_key.this
    values = { arn = "arn:aws:kms:eu-central-1:111122223333:key/1", key_id = "1" }
  }

  override_resource {
    target = aws_sns_topic.alarms
    values = { arn = "arn:aws:sns:eu-central-1:111122223333:shop-dev-alarms" }
  }

  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id == "arn:aws:kms:eu-central-1:111122223333:key/1" && aws_cloudwatch_log_group.server.kms_key_id == "arn:aws:kms:eu-central-1:111122223333:key/1"
    error_message = "Topic and logs must be encrypted with the key of the module."
  }

  assert {
    condition     = anytrue([for statement in jsondecode(aws_sns_topic_policy.alarms.policy).Statement : statement.Effect == "Deny" && try(statement.Condition.Bool["aws:SecureTransport"] == "false", false)])
    error_message = "The topic must refuse messages without TLS."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_sns_topic_policy.alarms.policy).Statement : statement.Condition.StringEquals["aws:SourceAccount"] == "111122223333" if statement.Effect == "Allow"])
    error_message = "Services may publish for this account alone."
  }

  assert {
    condition = alltrue([
      for alarm in concat(aws_cloudwatch_metric_alarm.errors, aws_cloudwatch_metric_alarm.p95, aws_cloudwatch_metric_alarm.no_task, [aws_cloudwatch_metric_alarm.drift, aws_cloudwatch_metric_alarm.findings, aws_cloudwatch_metric_alarm.heartbeat]) :
      alarm.alarm_actions == toset(["arn:aws:sns:eu-central-1:111122223333:shop-dev-alarms"])
    ])
    error_message = "Every alarm must tell somebody."
  }

  assert {
    condition     = toset(output.service_alarms) == toset(["shop-dev-5xx", "shop-dev-p95"])
    error_message = "Alarms of the service must be known to a deployment."
  }
}

run "is_a_dead_mans_switch" {
  command = plan

  assert {
    condition     = aws_cloudwatch_metric_alarm.heartbeat.treat_missing_data == "breaching"
    error_message = "A monitor that does not run sends nothing: missing data must be the alarm."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.heartbeat.metric_name == "monitor_runs" && aws_cloudwatch_metric_alarm.heartbeat.statistic == "Sum" && aws_cloudwatch_metric_alarm.heartbeat.comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.heartbeat.threshold == 1
    error_message = "No run at all must be the alarm."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.heartbeat.period * aws_cloudwatch_metric_alarm.heartbeat.evaluation_periods == 30 * 3600 && aws_cloudwatch_metric_alarm.heartbeat.datapoints_to_alarm == aws_cloudwatch_metric_alarm.heartbeat.evaluation_periods
    error_message = "One run in 30 hours must be enough."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.no_task[0].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.no_task[0].comparison_operator == "LessThanThreshold" && aws_cloudwatch_metric_alarm.no_task[0].threshold == 1
    error_message = "A service without a task reports nothing: missing data must be the alarm."
  }
}

run "tells_errors_and_slowness" {
  command = plan

  assert {
    condition     = aws_cloudwatch_metric_alarm.p95[0].extended_statistic == "p95" && aws_cloudwatch_metric_alarm.p95[0].threshold == 0.5 && aws_cloudwatch_metric_alarm.p95[0].metric_name == "TargetResponseTime"
    error_message = "The 95th percentile must have an alarm."
  }

  assert {
    condition = toset(flatten([for query in aws_cloudwatch_metric_alarm.errors[0].metric_query : [for metric in query.metric : metric.metric_name]])) == toset([
      "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "RequestCount",
    ])
    error_message = "Failures of tasks and of the load balancer must count, relative to all requests."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.errors[0].threshold == 1 && aws_cloudwatch_metric_alarm.errors[0].treat_missing_data == "notBreaching"
    error_message = "A night without requests is no failure."
  }
}

run "tells_drift" {
  command = plan

  assert {
    condition     = aws_cloudwatch_metric_alarm.drift.dimensions == tomap({ model = "rides", environment = "production" }) && aws_cloudwatch_metric_alarm.drift.namespace == "Leverframe"
    error_message = "The alarm must look at the metrics of this model and environment."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.drift.datapoints_to_alarm == 2 && aws_cloudwatch_metric_alarm.drift.evaluation_periods == 3 && aws_cloudwatch_metric_alarm.drift.threshold == 1 && aws_cloudwatch_metric_alarm.drift.statistic == "Maximum" && aws_cloudwatch_metric_alarm.drift.comparison_operator == "GreaterThanThreshold"
    error_message = "As the monitor, the alarm needs two of three days out of the band."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 7
    error_message = "The dashboard must show service and monitor."
  }
}

run "watches_a_model_without_a_service" {
  command = plan

  variables {
    service = null
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.p95) == 0 && length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 4
    error_message = "Where no load balancer is, nothing of it can be watched."
  }
}

run "lets_one_branch_publish" {
  command = plan

  variables {
    publisher = {
      provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
      subjects     = ["repo:acme/shop:ref:refs/heads/main"]
    }
  }

  assert {
    condition     = jsondecode(aws_iam_role.publisher[0].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == ["repo:acme/shop:ref:refs/heads/main"]
    error_message = "Only the branch may take the role, compared letter by letter."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.publisher[0].policy).Statement[0].Condition.StringEquals["cloudwatch:namespace"] == "Leverframe" && jsondecode(aws_iam_role_policy.publisher[0].policy).Statement[0].Action == "cloudwatch:PutMetricData"
    error_message = "The role must add metrics of one namespace and nothing else."
  }
}
