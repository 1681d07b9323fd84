# What a person applies, once and with an account that may create roles: everything that decides what workflows may do.
# Workflows plan and apply the other environments with the roles that are made here, and cannot change them.
provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Project   = var.name
      ManagedBy = "terraform"
    }
  }
}

locals {
  issuer       = "token.actions.githubusercontent.com"
  provider_arn = "arn:aws:iam::${var.account_id}:oidc-provider/${local.issuer}" # as AWS makes it, known before it does
}

resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

module "state" {
  source = "../../modules/aws_state_backend"

  name = "${var.name}-state-${var.account_id}"
}

module "data" {
  source = "../../modules/aws_object_store"

  name = "${var.name}-data-${var.account_id}"
}

module "network" {
  source = "../../modules/aws_network"

  name  = var.name
  zones = var.zones
}

# Images of the server. A tag cannot become another image; the environments name digests anyway.
resource "aws_ecr_repository" "server" {
  name                 = "${var.name}/leverframe"
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
  }
}

module "roles" {
  source   = "../../modules/github_oidc"
  for_each = var.deployments

  name               = each.key
  repository         = var.repository
  repository_ids     = var.repository_ids
  provider_arn       = local.provider_arn
  branches           = var.branches
  apply_environment  = each.value.infra
  deploy_environment = each.value.deploy

  boundary_statements = each.value.boundary_statements

  state = {
    bucket_arn  = module.state.bucket_arn
    kms_key_arn = module.state.kms_key_arn
    key         = "${each.value.infra}/terraform.tfstate"
  }

  data = {
    bucket_arn  = module.data.arn
    kms_key_arn = module.data.kms_key_arn
    prefix      = "dvc"
  }

  service = {
    arn            = "arn:aws:ecs:${var.region}:${var.account_id}:service/${each.key}-serving/${each.key}-serving"
    task_family    = "${each.key}-serving-release"
    task_role_arns = [for role in ["task", "execution"] : "arn:aws:iam::${var.account_id}:role/${each.key}-serving-${role}"]
  }

  depends_on = [aws_iam_openid_connect_provider.github]
}

module "runners" {
  source = "../../modules/github_runners"
  count  = var.runners ? 1 : 0

  name              = "${var.name}-runners"
  repository        = var.repository
  repository_ids    = var.repository_ids
  oidc_provider_arn = local.provider_arn
  zones             = var.zones

  depends_on = [aws_iam_openid_connect_provider.github]
}

# Of everything, tagged or not: those of the environments count what has their tag, once that is activated.
module "budget" {
  source = "../../modules/budget"
  count  = var.budget == null ? 0 : 1

  name        = "${var.name}-account-monthly"
  monthly_usd = var.budget.monthly_usd
  emails      = var.budget.emails
}
