provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = {
      Project     = var.name
      Environment = var.environment
      ManagedBy   = "terraform"
    }
  }
}

locals {
  boundary = "arn:aws:iam::${var.account_id}:policy/${var.name}-boundary" # of the roles in aws-account
}

data "aws_vpc" "this" {
  tags = { Name = var.network }
}

data "aws_subnets" "private" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.this.id]
  }

  tags = { Name = "${var.network}-private-*" }
}

data "aws_prefix_list" "s3" {
  name = "com.amazonaws.${var.region}.s3"
}

module "observability" {
  source = "../../modules/observability"

  name        = "${var.name}-serving"
  model       = var.model
  environment = var.environment
  emails      = var.emails

  permissions_boundary_arn = local.boundary
  publisher                = var.publisher

  service = {
    load_balancer_arn_suffix = module.serving.load_balancer_arn_suffix
    target_group_arn_suffix  = module.serving.target_group_arn_suffix
  }
}

module "serving" {
  source = "../../modules/aws_serving_ecs"

  name                     = "${var.name}-serving"
  model                    = var.model
  image                    = var.image
  ecr_repository_arn       = var.ecr_repository_arn
  remote_bucket_arn        = var.data.bucket_arn
  remote_kms_key_arn       = var.data.kms_key_arn
  remote_prefix            = var.data.prefix
  vpc_id                   = data.aws_vpc.this.id
  vpc_cidr                 = data.aws_vpc.this.cidr_block
  private_subnet_ids       = data.aws_subnets.private.ids
  s3_prefix_list_id        = data.aws_prefix_list.s3.id
  client_cidrs             = var.client_cidrs
  certificate_arn          = var.certificate_arn
  log_group_name           = module.observability.log_group_name
  log_group_arn            = module.observability.log_group_arn
  rollback_alarms          = module.observability.service_alarms
  egress                   = var.egress
  request_log              = var.request_log
  access_log_bucket        = var.access_log_bucket
  cpu                      = var.cpu
  memory                   = var.memory
  minimum_tasks            = var.minimum_tasks
  maximum_tasks            = var.maximum_tasks
  deletion_protection      = true
  permissions_boundary_arn = local.boundary
}

module "budget" {
  source = "../../modules/budget"

  name        = "${var.name}-monthly"
  monthly_usd = var.monthly_usd
  emails      = var.emails
  topic_arn   = module.observability.topic_arn
  tag         = { key = "Project", value = var.name }
}
