locals {
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:*:ecs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:*" }
      }
    }]
  })
  task_statements = concat(
    [
      {
        Sid      = "ReadBundles"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = "${var.remote_bucket_arn}/${var.remote_prefix}/files/md5/*"
      },
      {
        # Without it S3 answers 403 where an object is missing, and nobody learns that it is. Names only, but those of the
        # whole bucket: of a question for one object S3 tells no prefix.
        Sid      = "SeeWhatIsMissing"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = var.remote_bucket_arn
      },
    ],
    var.remote_kms_key_arn == null ? [] : [
      {
        Sid       = "DecryptBundles"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = var.remote_kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = "s3.${data.aws_region.current.region}.amazonaws.com" } }
      },
    ],
    var.request_log == null ? [] : [
      {
        Sid       = "WriteRequestLog"
        Effect    = "Allow"
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        Resource  = var.request_log.file_system_arn
        Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = var.request_log.access_point_arn } }
      },
    ],
  )
  execution_statements = concat(
    [
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${var.log_group_arn}:*"
      },
    ],
    var.ecr_repository_arn == null ? [] : [
      {
        Sid      = "LogIn"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = "*" # the action knows no resource
      },
      {
        Sid      = "PullImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = var.ecr_repository_arn
      },
    ],
  )
}

# Of the containers: they read the objects of the remote and nothing else.
resource "aws_iam_role" "task" {
  name                 = "${var.name}-task"
  assume_role_policy   = local.trust
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "task" {
  name   = "serve"
  role   = aws_iam_role.task.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.task_statements })
}

# Of the agent that starts them: it pulls the image and writes their log.
resource "aws_iam_role" "execution" {
  name                 = "${var.name}-execution"
  assume_role_policy   = local.trust
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name   = "start"
  role   = aws_iam_role.execution.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.execution_statements })
}
