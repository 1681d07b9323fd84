# What a deployment does: read and write one prefix of the data, and move one service to another model.
locals {
  deploy_statements = concat(
    [
      {
        Sid      = "ReadAndWriteOnePrefix"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = ["${var.data.bucket_arn}/${var.data.prefix}/*"]
      },
      {
        # Names only, but those of the whole bucket: DVC asks whether the bucket is there, and S3 tells an object that is
        # missing from one that is forbidden to nobody else. A condition on the prefix would refuse both.
        Sid      = "ListNames"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = [var.data.bucket_arn]
      },
      {
        Sid      = "UseTheKeyOfTheData"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = [var.data.kms_key_arn]
      },
    ],
    flatten([for service in(var.service == null ? [] : [var.service]) : [
      {
        Sid      = "UpdateOneService"
        Effect   = "Allow"
        Action   = ["ecs:DescribeServices", "ecs:UpdateService"]
        Resource = [service.arn]
      },
      {
        Sid      = "AddTaskDefinitionsOfOneFamily"
        Effect   = "Allow"
        Action   = ["ecs:RegisterTaskDefinition"]
        Resource = ["arn:${local.partition}:ecs:${local.here}:task-definition/${service.task_family}:*"]
      },
      {
        Sid      = "ReadTaskDefinitions"
        Effect   = "Allow"
        Action   = ["ecs:DescribeTaskDefinition"]
        Resource = ["*"] # AWS knows no narrower resource
      },
      {
        Sid       = "GiveTasksTheirRoles"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = service.task_role_arns
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
    ]]),
  )
}
