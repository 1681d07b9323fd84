locals {
  balancer = local.served == 0 ? [] : [
    {
      title = "Requests and 5xx a minute"
      stat  = "Sum"
      metrics = [
        ["AWS/ApplicationELB", "RequestCount", "LoadBalancer", var.service.load_balancer_arn_suffix],
        ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "TargetGroup", var.service.target_group_arn_suffix, "LoadBalancer", var.service.load_balancer_arn_suffix],
        ["AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "LoadBalancer", var.service.load_balancer_arn_suffix],
      ]
    },
    {
      title   = "95th percentile of the response time in seconds"
      stat    = "p95"
      metrics = [["AWS/ApplicationELB", "TargetResponseTime", "TargetGroup", var.service.target_group_arn_suffix, "LoadBalancer", var.service.load_balancer_arn_suffix]]
    },
    {
      title   = "Tasks that are ready"
      stat    = "Minimum"
      metrics = [["AWS/ApplicationELB", "HealthyHostCount", "TargetGroup", var.service.target_group_arn_suffix, "LoadBalancer", var.service.load_balancer_arn_suffix]]
    },
  ]
  watched = [
    for name, words in {
      drift_score       = "Drift score: beyond 1 a column is out of its band"
      columns_beyond    = "Columns out of their bands"
      critical_findings = "Critical findings"
      monitor_runs      = "Runs of the monitor"
    } :
    { title = words, stat = name == "monitor_runs" ? "Sum" : "Maximum", metrics = [[var.namespace, name, "model", var.model, "environment", var.environment]] }
  ]
  charts = concat(
    [for chart in local.balancer : merge(chart, { period = 60 })],
    [for chart in local.watched : merge(chart, { period = 86400 })],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [
      for index, chart in local.charts : {
        type       = "metric"
        x          = index % 2 * 12
        y          = floor(index / 2) * 6
        width      = 12
        height     = 6
        properties = merge(chart, { view = "timeSeries", region = local.region })
      }
    ]
  })
}
