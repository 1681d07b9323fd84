data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  issuer    = "token.actions.githubusercontent.com"
  audience  = "sts.amazonaws.com"
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.region

  iam          = "arn:${local.partition}:iam::${local.account}"
  provider_arn = "${local.iam}:oidc-provider/${local.issuer}"

  # A name can be taken over by somebody else after a rename, a number cannot.
  names = split("/", var.repository)
  repository = var.repository_ids == null ? var.repository : format(
    "%s@%d/%s@%d", local.names[0], var.repository_ids.owner, local.names[1], var.repository_ids.repository
  )

  # Which jobs may take a role: compared letter by letter, never as a pattern.
  subjects = {
    plan = concat(
      ["repo:${local.repository}:pull_request"],
      [for branch in sort(var.branches) : "repo:${local.repository}:ref:refs/heads/${branch}"],
    )
    apply  = ["repo:${local.repository}:environment:${var.apply_environment}"]
    deploy = ["repo:${local.repository}:environment:${var.deploy_environment}"]
  }

  descriptions = {
    plan   = "Plans of ${var.repository}: reads, changes nothing"
    apply  = "Applies what was reviewed in ${var.repository}"
    deploy = "Deploys models of ${var.repository}"
  }
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.provider_arn == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = [local.audience]
  tags           = var.tags
}

resource "aws_iam_role" "role" {
  for_each = local.subjects

  name                 = "${var.name}-${each.key}"
  description          = local.descriptions[each.key]
  max_session_duration = 3600
  tags                 = var.tags

  # The issuer is that of the provider; a token for another audience, repository or kind of job is refused.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = local.provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = local.audience
          "${local.issuer}:sub" = each.value
        }
      }
    }]
  })

  depends_on = [aws_iam_openid_connect_provider.github]
}

locals {
  # An apply plans first, so it reads what a plan reads.
  policies = {
    plan-read        = { roles = ["plan", "apply"], statements = local.read_statements }
    plan-deny        = { roles = ["plan"], statements = local.plan_denials }
    apply-state      = { roles = ["apply"], statements = concat(local.state_statements, local.apply_denials) }
    apply-foundation = { roles = ["apply"], statements = local.foundation_statements }
    apply-platform   = { roles = ["apply"], statements = local.platform_statements }
    deploy-model     = { roles = ["deploy"], statements = local.deploy_statements }
  }
  documents = {
    for name, policy in local.policies : name => jsonencode({ Version = "2012-10-17", Statement = policy.statements })
    if length(policy.statements) > 0
  }
  attachments = merge([
    for name in keys(local.documents) : { for role in local.policies[name].roles : "${role}/${name}" => { role = role, policy = name } }
  ]...)
}

resource "aws_iam_policy" "policy" {
  for_each = local.documents

  name   = "${var.name}-${each.key}"
  policy = each.value
  tags   = var.tags

  lifecycle {
    precondition {
      condition     = length(each.value) <= 6144
      error_message = "AWS takes policies of 6144 characters: give the apply role fewer groups in `manage`, or a shorter `name`."
    }
  }
}

resource "aws_iam_role_policy_attachment" "policy" {
  for_each = local.attachments

  role       = aws_iam_role.role[each.value.role].name
  policy_arn = aws_iam_policy.policy[each.value.policy].arn
}

resource "aws_iam_role_policy_attachment" "further" {
  for_each = var.apply_policy_arns

  role       = aws_iam_role.role["apply"].name
  policy_arn = each.value
}
