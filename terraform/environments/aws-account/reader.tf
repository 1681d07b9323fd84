# Of `reproduce` in a pull request: it reads the remote and nothing else. GitHub gives no token to forks.
locals {
  names   = split("/", var.repository)
  subject = var.repository_ids == null ? var.repository : format("%s@%d/%s@%d", local.names[0], var.repository_ids.owner, local.names[1], var.repository_ids.repository)
}

resource "aws_iam_role" "reader" {
  count = var.pull_requests_read_data ? 1 : 0

  name                 = "${var.name}-reader"
  description          = "Reads the DVC remote of ${var.repository}"
  max_session_duration = 7200

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = local.provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = concat(["repo:${local.subject}:pull_request"], [for branch in sort(var.branches) : "repo:${local.subject}:ref:refs/heads/${branch}"])
        }
      }
    }]
  })

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "reader" {
  count = var.pull_requests_read_data ? 1 : 0

  name = "read-dvc-remote"
  role = aws_iam_role.reader[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "Read", Effect = "Allow", Action = "s3:GetObject", Resource = "${module.data.arn}/dvc/*" },
      # Without a condition on the prefix, as for the deploy role: S3 tells it of no question for one object.
      { Sid = "List", Effect = "Allow", Action = "s3:ListBucket", Resource = module.data.arn },
      { Sid = "Decrypt", Effect = "Allow", Action = "kms:Decrypt", Resource = module.data.kms_key_arn },
    ]
  })
}
