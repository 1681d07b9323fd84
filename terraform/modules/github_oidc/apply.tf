# What an apply changes: the state and its lock, and things whose names begin with `name`. It cannot give itself more: its
# own roles, their policies and the provider are out of its reach, and a role that it creates has the boundary.
locals {
  lock_object = "${local.state_object}.tflock"
  in_region   = { StringEquals = { "aws:RequestedRegion" = local.region } }
  # A security group has an ARN of random letters: a tag says whose it is.
  tagged = { StringEquals = { "aws:ResourceTag/Project" = var.name } }
  tagged_for_others = {
    StringNotEquals = { "aws:ResourceTag/Project" = var.name }
    Null            = { "aws:ResourceTag/Project" = "false" } # what has no tag is nobody's
  }
  log_groups = [for name in ["/*/${var.name}-*", "${var.name}-*"] : "arn:${local.partition}:logs:${local.here}:log-group:${name}"]
  targets    = "arn:${local.partition}:application-autoscaling:${local.here}:scalable-target/*"
  scaling = [
    "application-autoscaling:DeleteScalingPolicy", "application-autoscaling:DeregisterScalableTarget",
    "application-autoscaling:PutScalingPolicy", "application-autoscaling:RegisterScalableTarget",
  ]
  boundary_arn = "${local.iam}:policy/${var.name}-boundary"
  here         = "${local.region}:${local.account}"

  state_statements = [
    { Sid = "WriteTheState", Effect = "Allow", Action = "s3:PutObject", Resource = local.state_object },
    {
      Sid      = "LockTheState"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
      Resource = local.lock_object
    },
    { Sid = "EncryptTheState", Effect = "Allow", Action = "kms:GenerateDataKey", Resource = var.state.kms_key_arn },
  ]

  groups = {
    alarms = [{
      Action = [
        "cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard", "cloudwatch:PutMetricAlarm",
        "cloudwatch:TagResource", "cloudwatch:UntagResource",
      ]
      Resource = [
        "arn:${local.partition}:cloudwatch:${local.here}:alarm:${var.name}-*",
        "arn:${local.partition}:cloudwatch::${local.account}:dashboard/${var.name}-*",
      ]
    }]
    # A scalable target has an ARN of random letters. Of tags AWS tells no namespace.
    autoscaling = [
      {
        Action    = local.scaling
        Resource  = local.targets
        Condition = { StringEquals = { "application-autoscaling:service-namespace" = "ecs" } }
      },
      {
        Action   = ["application-autoscaling:TagResource", "application-autoscaling:UntagResource"]
        Resource = local.targets
      },
      {
        Effect    = "Deny"
        Action    = concat(local.scaling, ["application-autoscaling:TagResource", "application-autoscaling:UntagResource"])
        Resource  = local.targets
        Condition = local.tagged_for_others
      },
    ]
    budgets = [{
      Action   = ["budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource"]
      Resource = "arn:${local.partition}:budgets::${local.account}:budget/${var.name}-*"
    }]
    # To change the policy of a key or to schedule its deletion is left to a person: nothing that the key has encrypted can
    # be read after a mistake.
    keys = [
      {
        Action    = ["kms:CreateKey", "kms:EnableKeyRotation", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription"]
        Resource  = "*"
        Condition = local.in_region
      },
      {
        Action   = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"]
        Resource = ["arn:${local.partition}:kms:${local.here}:alias/${var.name}-*", "arn:${local.partition}:kms:${local.here}:key/*"]
      },
    ]
    load_balancers = [{
      Action = [
        "elasticloadbalancing:AddTags", "elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateLoadBalancer",
        "elasticloadbalancing:CreateRule", "elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:DeleteListener",
        "elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing:DeleteRule",
        "elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:ModifyListener",
        "elasticloadbalancing:ModifyListenerAttributes",
        "elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:ModifyRule",
        "elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes",
        "elasticloadbalancing:RemoveTags", "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
      ]
      Resource = [
        for kind in ["loadbalancer/app", "targetgroup", "listener/app", "listener-rule/app"] :
        "arn:${local.partition}:elasticloadbalancing:${local.here}:${kind}/${var.name}-*"
      ]
    }]
    logs = [{
      Action = [
        "logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteMetricFilter", "logs:DeleteRetentionPolicy",
        "logs:PutMetricFilter", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource",
      ]
      Resource = local.log_groups
    }]
    roles = [
      {
        Action = [
          "iam:AttachRolePolicy", "iam:CreateRole", "iam:DetachRolePolicy", "iam:DeleteRolePolicy", "iam:PutRolePolicy",
        ]
        Resource  = "${local.iam}:role/${var.name}-*"
        Condition = { StringEquals = { "iam:PermissionsBoundary" = local.boundary_arn } }
      },
      {
        Action = [
          "iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:DeleteRole",
          "iam:TagPolicy", "iam:TagRole", "iam:UntagPolicy", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
        ]
        Resource = [for kind in ["role", "policy"] : "${local.iam}:${kind}/${var.name}-*"]
      },
      {
        Action    = ["iam:PassRole"]
        Resource  = "${local.iam}:role/${var.name}-*"
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        # Services create these for themselves when they are first used in an account.
        Action    = ["iam:CreateServiceLinkedRole"]
        Resource  = "${local.iam}:role/aws-service-role/*"
        Condition = { StringEquals = { "iam:AWSServiceName" = ["ecs.amazonaws.com", "ecs.application-autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com"] } }
      },
    ]
    security_groups = [
      {
        # Creating one touches the network that it is in, which has no tag of this request.
        Action    = ["ec2:CreateSecurityGroup"]
        Resource  = ["arn:${local.partition}:ec2:${local.here}:security-group/*", "arn:${local.partition}:ec2:${local.here}:vpc/*"]
        Condition = local.in_region
      },
      {
        # The tag is given while a thing is created, never to what exists: else it would open what is somebody else's.
        Action   = ["ec2:CreateTags"]
        Resource = [for kind in ["security-group", "security-group-rule"] : "arn:${local.partition}:ec2:${local.here}:${kind}/*"]
        Condition = {
          StringEquals = { "aws:RequestTag/Project" = var.name }
          StringLike   = { "ec2:CreateAction" = ["CreateSecurityGroup", "AuthorizeSecurityGroup*"] }
        }
      },
      {
        # A rule that is only being added has no tags yet; the group that it is added to has.
        Action    = ["ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"]
        Resource  = "arn:${local.partition}:ec2:${local.here}:security-group-rule/*"
        Condition = { StringEquals = { "aws:RequestTag/Project" = var.name } }
      },
      {
        Action    = ["ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"]
        Resource  = "arn:${local.partition}:ec2:${local.here}:security-group/*"
        Condition = local.tagged
      },
      {
        Action = [
          "ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DeleteTags", "ec2:ModifySecurityGroupRules", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
        ]
        Resource  = [for kind in ["security-group", "security-group-rule"] : "arn:${local.partition}:ec2:${local.here}:${kind}/*"]
        Condition = local.tagged
      },
    ]
    services = [
      {
        Action = [
          "ecs:CreateCluster", "ecs:CreateService", "ecs:DeleteCluster", "ecs:DeleteService", "ecs:DeleteTaskDefinitions", "ecs:PutClusterCapacityProviders",
          "ecs:RegisterTaskDefinition", "ecs:TagResource", "ecs:UntagResource", "ecs:UpdateCluster", "ecs:UpdateService",
        ]
        Resource = [
          for kind in ["cluster", "service", "task-definition"] : "arn:${local.partition}:ecs:${local.here}:${kind}/${var.name}-*"
        ]
      },
      {
        # AWS knows no narrower resource.
        Action    = ["ecs:DeregisterTaskDefinition"]
        Resource  = "*"
        Condition = local.in_region
      },
    ]
    topics = [
      {
        Action   = ["sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:UntagResource"]
        Resource = "arn:${local.partition}:sns:${local.here}:${var.name}-*"
      },
      {
        # AWS knows no narrower resource.
        Action    = ["sns:Unsubscribe"]
        Resource  = "*"
        Condition = local.in_region
      },
    ]
  }

  # What tasks and jobs of a deployment need, on what is theirs. A role that an apply creates may trust whomever the code
  # says, so whatever is allowed here is allowed to whoever may merge.
  boundary_statements = concat(
    [
      { Sid = "ReadBundles", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${var.data.bucket_arn}/${var.data.prefix}/*"] },
      { Sid = "SeeWhatIsMissing", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [var.data.bucket_arn] },
      { Sid = "DecryptBundles", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.data.kms_key_arn] },
      { Sid = "WriteLogs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = local.log_groups },
      { Sid = "LogIn", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] },
      {
        Sid      = "PullImages"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = ["arn:${local.partition}:ecr:${local.here}:repository/*"]
      },
      { Sid = "PublishMetrics", Effect = "Allow", Action = ["cloudwatch:PutMetricData"], Resource = ["*"] },
    ],
    [
      for number, statement in var.boundary_statements :
      { Sid = "Further${number}", Effect = "Allow", Action = sort(statement.actions), Resource = sort(statement.resources) }
    ],
    [
      {
        Sid      = "NeverTheState"
        Effect   = "Deny"
        Action   = ["s3:*", "kms:*"]
        Resource = [var.state.bucket_arn, "${var.state.bucket_arn}/*", var.state.kms_key_arn]
      },
    ],
  )

  foundation = ["keys", "roles", "security_groups"]
  foundation_statements = flatten([
    for group in sort(var.manage) : [for statement in local.groups[group] : merge({ Effect = "Allow" }, statement)]
    if contains(local.foundation, group)
  ])
  platform_statements = flatten([
    for group in sort(var.manage) : [for statement in local.groups[group] : merge({ Effect = "Allow" }, statement)]
    if !contains(local.foundation, group)
  ])

  apply_denials = [
    {
      Sid    = "ChangeNoRoleOfThisModule"
      Effect = "Deny"
      # Reading stays allowed: the plan before an apply does.
      NotAction = ["iam:Get*", "iam:List*", "sts:AssumeRoleWithWebIdentity"]
      Resource = concat([local.provider_arn, local.boundary_arn], flatten([
        for role in keys(local.subjects) : ["${local.iam}:role/${var.name}-${role}", "${local.iam}:policy/${var.name}-${role}-*"]
      ]))
    },
    {
      Sid       = "ChangeNoBucketOfTheState"
      Effect    = "Deny"
      NotAction = ["s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:ListBucket"]
      Resource  = var.state.bucket_arn
    },
    {
      Sid       = "ChangeNoKeyOfTheState"
      Effect    = "Deny"
      NotAction = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"]
      Resource  = var.state.kms_key_arn
    },
    {
      Sid      = "TakeNoBoundaryAway"
      Effect   = "Deny"
      Action   = ["iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary"]
      Resource = "*"
    },
  ]
}

resource "aws_iam_policy" "boundary" {
  name        = "${var.name}-boundary"
  description = "The most that a role may do which ${var.name}-apply creates"
  tags        = var.tags

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.boundary_statements
  })
}
