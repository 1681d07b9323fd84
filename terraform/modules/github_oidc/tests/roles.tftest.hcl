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
  name               = "rides"
  repository         = "example/rides-model"
  apply_environment  = "aws-prod"
  deploy_environment = "production"
  state = {
    bucket_arn  = "arn:aws:s3:::rides-state"
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/11111111-1111-1111-1111-111111111111"
    key         = "aws-prod/terraform.tfstate"
  }
  data = {
    bucket_arn  = "arn:aws:s3:::rides-data"
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/22222222-2222-2222-2222-222222222222"
    prefix      = "dvc"
  }
  service = {
    arn            = "arn:aws:ecs:eu-central-1:111122223333:service/rides-prod/rides-model"
    task_family    = "rides-model"
    task_role_arns = ["arn:aws:iam::111122223333:role/rides-task"]
  }
}

run "three_roles_of_one_repository" {
  command = plan

  # Who may take a role.

  assert {
    condition     = join(" ", keys(aws_iam_role.role)) == "apply deploy plan"
    error_message = "There are three roles."
  }

  assert {
    condition = alltrue([for role in aws_iam_role.role : alltrue([
      for statement in jsondecode(role.assume_role_policy).Statement :
      statement.Effect == "Allow" && statement.Action == "sts:AssumeRoleWithWebIdentity"
      && statement.Principal == { Federated = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }
    ])])
    error_message = "Only tokens that GitHub signed may be taken."
  }

  assert {
    condition = alltrue([for role in aws_iam_role.role : alltrue([
      for statement in jsondecode(role.assume_role_policy).Statement :
      try(statement.Condition.StringEquals["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com", false)
    ])])
    error_message = "Only tokens for AWS may be taken."
  }

  assert {
    condition = alltrue([for role in aws_iam_role.role : alltrue([
      for statement in jsondecode(role.assume_role_policy).Statement :
      try(length(statement.Condition.StringEquals["token.actions.githubusercontent.com:sub"]) > 0, false) && join(" ", keys(statement.Condition)) == "StringEquals"
    ])])
    error_message = "Every role must say which jobs may take it, and compare letter by letter."
  }

  assert {
    condition = alltrue([for role in aws_iam_role.role : alltrue(flatten([
      for statement in jsondecode(role.assume_role_policy).Statement : [
        for subject in flatten([statement.Condition.StringEquals["token.actions.githubusercontent.com:sub"]]) :
        startswith(subject, "repo:example/rides-model:") && !strcontains(subject, "*") && !strcontains(subject, "?")
      ]
    ]))])
    error_message = "No other repository may take a role."
  }

  assert {
    condition = {
      for name, role in aws_iam_role.role : name => flatten([
        for statement in jsondecode(role.assume_role_policy).Statement : statement.Condition.StringEquals["token.actions.githubusercontent.com:sub"]
      ])
      } == {
      plan   = ["repo:example/rides-model:pull_request", "repo:example/rides-model:ref:refs/heads/main"]
      apply  = ["repo:example/rides-model:environment:aws-prod"]
      deploy = ["repo:example/rides-model:environment:production"]
    }
    error_message = "Pull requests and the main branch plan; jobs of a protected environment apply and deploy."
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.role : role.max_session_duration == 3600])
    error_message = "Credentials must last an hour at most."
  }

  assert {
    condition     = aws_iam_openid_connect_provider.github[0].url == "https://token.actions.githubusercontent.com" && aws_iam_openid_connect_provider.github[0].client_id_list == toset(["sts.amazonaws.com"])
    error_message = "The provider must be GitHub's, for AWS alone."
  }

  # What any role may do.

  assert {
    condition = alltrue(flatten([for policy in aws_iam_policy.policy : [
      for statement in jsondecode(policy.policy).Statement : [
        for action in flatten([try(statement.Action, [])]) : statement.Effect == "Deny" || can(regex("^[a-z0-9-]+:[A-Z][A-Za-z]+\\*?$", action))
      ]
    ]]))
    error_message = "No role may be allowed all actions of a service."
  }

  assert {
    condition = alltrue(flatten([for policy in aws_iam_policy.policy : [
      for statement in jsondecode(policy.policy).Statement : [
        for action in flatten([try(statement.Action, [])]) :
        statement.Effect == "Deny" || !endswith(action, "*") || can(regex(":(Describe|List|GetBucket)\\*$", action))
      ]
    ]]))
    error_message = "A pattern of actions may only be one that reads how things are set up."
  }

  assert {
    condition = alltrue(flatten([for policy in aws_iam_policy.policy : [
      for statement in jsondecode(policy.policy).Statement :
      statement.Effect == "Deny" || !contains(flatten([try(statement.Resource, "*")]), "*") || can(statement.Condition) || alltrue([
        for action in flatten([try(statement.Action, [])]) : can(regex(":(Describe|Get|List|View)", action))
      ])
    ]]))
    error_message = "What changes something must name it, or have a condition."
  }

  assert {
    condition = alltrue(flatten([for policy in aws_iam_policy.policy : [
      for statement in jsondecode(policy.policy).Statement : statement.Effect == "Deny" || (can(statement.Action) && can(statement.Resource))
    ]]))
    error_message = "All but something is not allowed: what AWS adds would be allowed, too."
  }

  assert {
    condition     = alltrue([for policy in aws_iam_policy.policy : length(policy.policy) <= 6144])
    error_message = "AWS takes policies of 6144 characters."
  }

  assert {
    condition     = alltrue([for role in ["plan", "apply", "deploy"] : length([for key in keys(aws_iam_role_policy_attachment.policy) : key if startswith(key, "${role}/")]) <= 10])
    error_message = "AWS attaches ten policies to a role."
  }

  # A plan reads, and reads no data.

  assert {
    condition     = toset([for attachment in aws_iam_role_policy_attachment.policy : attachment.role if endswith(attachment.role, "-plan")]) == toset(["rides-plan"])
    error_message = "Policies must be attached to the role."
  }

  assert {
    condition     = toset([for key in keys(aws_iam_role_policy_attachment.policy) : key if startswith(key, "plan/")]) == toset(["plan/plan-read", "plan/plan-deny"])
    error_message = "A plan reads, and does nothing else."
  }

  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_iam_policy.policy["plan-read"].policy).Statement : [
        for action in flatten([statement.Action]) : can(regex(":(Describe|Get|List|View)", action)) || (action == "kms:Decrypt" && statement.Resource == var.state.kms_key_arn)
      ]
    ]))
    error_message = "A plan changes nothing."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_iam_policy.policy["plan-read"].policy).Statement : statement.Resource
      if anytrue([for action in flatten([statement.Action]) : startswith(action, "s3:GetObject") || action == "s3:Get*" || action == "s3:*"])
    ] == ["arn:aws:s3:::rides-state/aws-prod/terraform.tfstate"]
    error_message = "The state is the one object that a plan reads."
  }

  assert {
    condition = alltrue([
      for action in ["s3:GetObject", "secretsmanager:GetSecretValue", "ssm:GetParameter", "kms:Decrypt", "logs:GetLogEvents", "sts:AssumeRole", "ec2:DescribeInstanceAttribute", "ec2:DescribeLaunchTemplateVersions"] :
      contains(flatten([
        for statement in jsondecode(aws_iam_policy.policy["plan-deny"].policy).Statement : statement.Action if statement.Effect == "Deny"
      ]), action)
    ])
    error_message = "Whatever else is attached, a plan must read no data and no secret."
  }

  # An apply cannot give itself more.

  assert {
    condition = alltrue([
      for arn in [
        "arn:aws:iam::111122223333:role/rides-plan", "arn:aws:iam::111122223333:role/rides-apply", "arn:aws:iam::111122223333:role/rides-deploy",
        "arn:aws:iam::111122223333:policy/rides-apply-*", "arn:aws:iam::111122223333:policy/rides-boundary",
        "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com",
        ] : contains(flatten([
          for statement in jsondecode(aws_iam_policy.policy["apply-state"].policy).Statement : statement.Resource
          if statement.Effect == "Deny" && toset(try(statement.NotAction, [])) == toset(["iam:Get*", "iam:List*", "sts:AssumeRoleWithWebIdentity"])
      ]), arn)
    ])
    error_message = "The apply role must not change the roles of this module."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_policy.policy["apply-foundation"].policy).Statement :
      try(statement.Condition.StringEquals["iam:PermissionsBoundary"] == "arn:aws:iam::111122223333:policy/rides-boundary", false)
      if length(setintersection(flatten([statement.Action]), ["iam:CreateRole", "iam:AttachRolePolicy", "iam:PutRolePolicy"])) > 0
    ])
    error_message = "A role that is created must have the boundary."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_policy.policy["apply-foundation"].policy).Statement :
      statement.Resource == "arn:aws:iam::111122223333:role/rides-*" && statement.Condition.StringEquals["iam:PassedToService"] == "ecs-tasks.amazonaws.com"
      if contains(flatten([statement.Action]), "iam:PassRole")
    ])
    error_message = "A role may be passed to tasks alone."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_policy.policy["apply-state"].policy).Statement :
      contains(["arn:aws:s3:::rides-state/aws-prod/terraform.tfstate", "arn:aws:s3:::rides-state/aws-prod/terraform.tfstate.tflock"], statement.Resource)
      if statement.Effect == "Allow" && anytrue([for action in flatten([try(statement.Action, [])]) : startswith(action, "s3:")])
    ])
    error_message = "The state of another environment is out of reach."
  }

  assert {
    condition = alltrue([
      for arn in [var.state.bucket_arn, var.state.kms_key_arn] : length([
        for statement in jsondecode(aws_iam_policy.policy["apply-state"].policy).Statement : statement
        if statement.Effect == "Deny" && statement.Resource == arn && can(statement.NotAction)
      ]) == 1
    ])
    error_message = "The bucket and the key of the state must stay as they are."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_policy.policy["apply-foundation"].policy).Statement :
      try(statement.Condition.StringLike["ec2:CreateAction"] == ["CreateSecurityGroup", "AuthorizeSecurityGroup*"], false) || can(statement.Condition.StringEquals["aws:ResourceTag/Project"])
      if contains(flatten([statement.Action]), "ec2:CreateTags")
    ])
    error_message = "A tag must not open what somebody else created."
  }

  assert {
    condition = !anytrue(flatten([
      for statement in jsondecode(aws_iam_policy.policy["apply-foundation"].policy).Statement : [
        for action in flatten([statement.Action]) : contains(["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "s3:DeleteObjectVersion"], action)
      ]
    ]))
    error_message = "What can never be restored is left to a person."
  }

  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_iam_policy.boundary.policy).Statement : [
        for action in statement.Action : can(regex("^[a-z0-9-]+:[A-Za-z]+$", action)) && !startswith(action, "iam:")
      ] if statement.Effect == "Allow"
    ]))
    error_message = "The boundary must name what a role may do."
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_policy.boundary.policy).Statement : statement.Action if statement.Effect == "Allow"
      ])) == toset([
      "cloudwatch:PutMetricData", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetAuthorizationToken",
      "ecr:GetDownloadUrlForLayer", "kms:Decrypt", "logs:CreateLogStream", "logs:PutLogEvents", "s3:GetObject", "s3:ListBucket",
    ])
    error_message = "A role that an apply creates must do what tasks do and nothing else."
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_policy.boundary.policy).Statement : statement.Resource if statement.Effect == "Allow"
      ])) == toset([
      "*", "arn:aws:s3:::rides-data", "arn:aws:s3:::rides-data/dvc/*", var.data.kms_key_arn,
      "arn:aws:logs:eu-central-1:111122223333:log-group:/*/rides-*", "arn:aws:logs:eu-central-1:111122223333:log-group:rides-*",
      "arn:aws:ecr:eu-central-1:111122223333:repository/*",
    ])
    error_message = "A role of one deployment must not reach what is of another."
  }

  # A deployment reaches one prefix and one service.

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_policy.policy["deploy-model"].policy).Statement : [
        for action in statement.Action : [for resource in statement.Resource : "${action} ${resource}"]
      ]
      ])) == toset([
      "s3:AbortMultipartUpload arn:aws:s3:::rides-data/dvc/*",
      "s3:GetObject arn:aws:s3:::rides-data/dvc/*",
      "s3:PutObject arn:aws:s3:::rides-data/dvc/*",
      "s3:ListBucket arn:aws:s3:::rides-data",
      "kms:Decrypt ${var.data.kms_key_arn}",
      "kms:GenerateDataKey ${var.data.kms_key_arn}",
      "ecs:DescribeServices ${var.service.arn}",
      "ecs:UpdateService ${var.service.arn}",
      "ecs:RegisterTaskDefinition arn:aws:ecs:eu-central-1:111122223333:task-definition/rides-model:*",
      "ecs:DescribeTaskDefinition *",
      "iam:PassRole arn:aws:iam::111122223333:role/rides-task",
    ])
    error_message = "A deployment reads and writes one prefix, and updates one service."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_policy.policy["deploy-model"].policy).Statement :
      try(statement.Condition.StringEquals["iam:PassedToService"] == "ecs-tasks.amazonaws.com", false) if contains(statement.Action, "iam:PassRole")
    ])
    error_message = "A deployment passes roles to tasks, and to nothing else."
  }

  assert {
    condition     = toset([for key in keys(aws_iam_role_policy_attachment.policy) : key if startswith(key, "deploy/")]) == toset(["deploy/deploy-model"])
    error_message = "A deployment gets nothing else."
  }
}

run "without_a_service_deploys_to_none" {
  command = plan

  variables {
    service = null
  }

  assert {
    condition = !anytrue(flatten([
      for statement in jsondecode(aws_iam_policy.policy["deploy-model"].policy).Statement : [
        for action in statement.Action : startswith(action, "ecs:") || startswith(action, "iam:")
      ]
    ]))
    error_message = "Without a service there is nothing to update."
  }
}

run "uses_a_provider_that_exists" {
  command = plan

  variables {
    provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "An account has one provider of an issuer."
  }
}

run "knows_numbers_in_subjects" {
  command = plan

  variables {
    repository_ids = { owner = 123456, repository = 456789 }
    branches       = ["main", "leverframe/retrain-rides"]
  }

  assert {
    condition = output.subjects == {
      plan = [
        "repo:example@123456/rides-model@456789:pull_request",
        "repo:example@123456/rides-model@456789:ref:refs/heads/leverframe/retrain-rides",
        "repo:example@123456/rides-model@456789:ref:refs/heads/main",
      ]
      apply  = ["repo:example@123456/rides-model@456789:environment:aws-prod"]
      deploy = ["repo:example@123456/rides-model@456789:environment:production"]
    }
    error_message = "Subjects must have the numbers where GitHub puts them."
  }
}

run "manages_what_is_asked" {
  command = plan

  variables {
    manage            = ["services"]
    apply_policy_arns = ["arn:aws:iam::111122223333:policy/rides-further"]
  }

  assert {
    condition     = !contains(keys(aws_iam_policy.policy), "apply-foundation")
    error_message = "Without roles, keys and security groups no policy of them is needed."
  }

  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(aws_iam_policy.policy["apply-platform"].policy).Statement : [for action in statement.Action : startswith(action, "ecs:")]
    ]))
    error_message = "Services alone were asked for."
  }

  assert {
    condition     = join(" ", keys(aws_iam_role_policy_attachment.further)) == "arn:aws:iam::111122223333:policy/rides-further" && alltrue([for attachment in aws_iam_role_policy_attachment.further : attachment.role == "rides-apply"])
    error_message = "A further policy is the apply role's alone."
  }
}
