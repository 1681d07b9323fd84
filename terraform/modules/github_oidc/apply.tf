# What an apply changes: the state and its lock, and things whose names begin with `name`. It cannot give itself more: its
# own roles, their policies and the provider are out of its reach, and a role that it creates has the boundary.
locals {
  lock_object = "${local.state_object}.tflock"
  in_region   = { StringEquals = { "aws:RequestedRegion" = local.region } }
  # Parts of a network have random letters for names: a tag says whose they are.
  tagged       = { StringEquals = { "aws:ResourceTag/Project" = var.name } }
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
    autoscaling = [
      {
        Action = [
          "autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags", "autoscaling:DeleteAutoScalingGroup",
          "autoscaling:DeletePolicy", "autoscaling:PutScalingPolicy", "autoscaling:UpdateAutoScalingGroup",
        ]
        Resource = "arn:${local.partition}:autoscaling:${local.here}:autoScalingGroup:*:autoScalingGroupName/${var.name}-*"
      },
      {
        # A scalable target has an ARN of random letters.
        Action = [
          "application-autoscaling:DeleteScalingPolicy", "application-autoscaling:DeregisterScalableTarget",
          "application-autoscaling:PutScalingPolicy", "application-autoscaling:RegisterScalableTarget",
          "application-autoscaling:TagResource",
        ]
        Resource  = "arn:${local.partition}:application-autoscaling:${local.here}:scalable-target/*"
        Condition = { StringEquals = { "application-autoscaling:service-namespace" = "ecs" } }
      },
    ]
    budgets = [{
      Action   = ["budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource"]
      Resource = "arn:${local.partition}:budgets::${local.account}:budget/${var.name}-*"
    }]
    buckets = [{
      Action = [
        "s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketLogging",
        "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketTagging",
        "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration",
      ]
      Resource = "arn:${local.partition}:s3:::${var.name}-*"
    }]
    # To change the policy of a key or to schedule its deletion is left to a person: nothing that the key has encrypted can
    # be read after a mistake.
    keys = [
      {
        Action    = ["kms:CreateKey", "kms:EnableKeyRotation", "kms:TagResource", "kms:UpdateKeyDescription"]
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
        "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteMetricFilter", "logs:DeleteRetentionPolicy",
        "logs:PutMetricFilter", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource",
      ]
      Resource = [for name in ["/*/${var.name}-*", "${var.name}-*"] : "arn:${local.partition}:logs:${local.here}:log-group:${name}"]
    }]
    networks = [
      {
        # Creating one thing of a network touches others, which have no tag of this request.
        Action = [
          "ec2:CreateSecurityGroup", "ec2:CreateLaunchTemplate", "ec2:CreateVpc", "ec2:CreateSubnet", "ec2:CreateRouteTable",
          "ec2:CreateInternetGateway", "ec2:CreateVpcEndpoint",
        ]
        Resource  = "*"
        Condition = local.in_region
      },
      {
        # The tag is given while a thing is created, never to what exists: else it would open what is somebody else's.
        Action   = ["ec2:CreateTags"]
        Resource = "arn:${local.partition}:ec2:${local.here}:*"
        Condition = {
          StringEquals = { "aws:RequestTag/Project" = var.name }
          StringLike   = { "ec2:CreateAction" = ["Create*", "AuthorizeSecurityGroup*"] }
        }
      },
      {
        Action = [
          "ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:AuthorizeSecurityGroupEgress",
          "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateLaunchTemplateVersion", "ec2:CreateRoute", "ec2:CreateTags",
          "ec2:DeleteInternetGateway", "ec2:DeleteLaunchTemplate", "ec2:DeleteRoute", "ec2:DeleteRouteTable",
          "ec2:DeleteSecurityGroup", "ec2:DeleteSubnet", "ec2:DeleteVpc", "ec2:DeleteVpcEndpoints",
          "ec2:DetachInternetGateway", "ec2:DisassociateRouteTable", "ec2:ModifyLaunchTemplate", "ec2:ModifySubnetAttribute",
          "ec2:ModifyVpcAttribute", "ec2:ModifyVpcEndpoint", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
        ]
        Resource  = "arn:${local.partition}:ec2:${local.here}:*"
        Condition = local.tagged
      },
    ]
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
          "iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:CreatePolicy", "iam:CreatePolicyVersion",
          "iam:DeleteInstanceProfile", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:DeleteRole",
          "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:TagPolicy", "iam:TagRole",
          "iam:UpdateAssumeRolePolicy",
        ]
        Resource = [for kind in ["role", "policy", "instance-profile"] : "${local.iam}:${kind}/${var.name}-*"]
      },
      {
        Action    = ["iam:PassRole"]
        Resource  = "${local.iam}:role/${var.name}-*"
        Condition = { StringEquals = { "iam:PassedToService" = ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"] } }
      },
      {
        # Services create these for themselves when they are first used in an account.
        Action    = ["iam:CreateServiceLinkedRole"]
        Resource  = "${local.iam}:role/aws-service-role/*"
        Condition = { StringLike = { "iam:AWSServiceName" = ["*autoscaling.amazonaws.com", "ecs.amazonaws.com", "elasticloadbalancing.amazonaws.com", "spot.amazonaws.com"] } }
      },
    ]
    services = [
      {
        Action = [
          "ecs:CreateCluster", "ecs:CreateService", "ecs:DeleteCluster", "ecs:DeleteService", "ecs:PutClusterCapacityProviders",
          "ecs:RegisterTaskDefinition", "ecs:TagResource", "ecs:UntagResource", "ecs:UpdateCluster", "ecs:UpdateService",
        ]
        Resource = [
          for kind in ["cluster", "service", "task-definition"] : "arn:${local.partition}:ecs:${local.here}:${kind}/${var.name}-*"
        ]
      },
      {
        # AWS knows no narrower resource for these two.
        Action    = ["ecs:DeregisterTaskDefinition", "ecs:DeleteTaskDefinitions"]
        Resource  = "*"
        Condition = local.in_region
      },
    ]
    topics = [{
      Action   = ["sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:Unsubscribe"]
      Resource = "arn:${local.partition}:sns:${local.here}:${var.name}-*"
    }]
  }

  foundation = ["buckets", "keys", "networks", "roles"]
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
    Statement = [{ Sid = "NeverMore", Effect = "Allow", Action = sort(var.boundary_actions), Resource = "*" }]
  })
}
