# Of the job that runs `publish.py` after the monitor: it adds metrics of one namespace and can do nothing else.
resource "aws_iam_role" "publisher" {
  count = var.publisher == null ? 0 : 1

  name                 = "${var.name}-publisher"
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = var.publisher.provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = sort(var.publisher.subjects)
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "publisher" {
  count = var.publisher == null ? 0 : 1

  name = "publish-metrics"
  role = aws_iam_role.publisher[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OneNamespace"
      Effect    = "Allow"
      Action    = "cloudwatch:PutMetricData"
      Resource  = "*" # the action knows no resource, but a namespace
      Condition = { StringEquals = { "cloudwatch:namespace" = var.namespace } }
    }]
  })
}
