data "aws_region" "current" {}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  names      = split("/", var.repository)
  subject    = var.repository_ids == null ? var.repository : format("%s@%d/%s@%d", local.names[0], var.repository_ids.owner, local.names[1], var.repository_ids.repository)
  ec2        = "arn:${data.aws_partition.current.partition}:ec2:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}"
  machines   = merge([for pool, settings in var.pools : { for zone in var.zones : "${pool}-${zone}" => merge(settings, { zone = zone }) }]...)
  templates  = [for template in aws_launch_template.this : template.arn]
  types      = distinct(flatten([for pool in values(var.pools) : pool.instance_types]))
  parameters = distinct([for pool in values(var.pools) : trimprefix(pool.image, "resolve:ssm:") if startswith(pool.image, "resolve:ssm:")])
}

# A network of its own. Machines have public addresses, because a NAT gateway costs money all day and this pool is
# empty most of it; nobody can reach them, because their security group has no rule for it.
resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = false
  tags                 = merge(var.tags, { Name = var.name })
}

resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-default-closed" })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_subnet" "this" {
  for_each = toset(var.zones)

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(var.cidr, 3, index(var.zones, each.key))
  map_public_ip_on_launch = false # the launch templates ask for the address
  tags                    = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_route" "out" {
  route_table_id         = aws_route_table.this.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "this" {
  for_each = aws_subnet.this

  subnet_id      = each.value.id
  route_table_id = aws_route_table.this.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.current.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.this.id]
  tags              = merge(var.tags, { Name = "${var.name}-s3" })
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "Runners: nothing comes in, HTTPS goes out"
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = var.name })
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "GitHub, package registries, the DVC remote"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = merge(var.tags, { Name = "${var.name}-https" })
}

resource "aws_launch_template" "this" {
  for_each = local.machines # one a zone: a template that names a network interface names its subnet

  name                                 = "${var.name}-${each.key}"
  description                          = "One job on one machine, which then ends"
  image_id                             = each.value.image
  instance_type                        = each.value.instance_types[0]
  instance_initiated_shutdown_behavior = "terminate" # `shutdown` of the bootstrap script ends the machine and its cost
  update_default_version               = true
  ebs_optimized                        = true
  tags                                 = var.tags

  # No instance profile: a job gets no credential from the machine. It asks for its own by OIDC.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  dynamic "instance_market_options" {
    for_each = each.value.spot ? [1] : []

    content {
      market_type = "spot"

      spot_options {
        spot_instance_type             = "one-time"
        instance_interruption_behavior = "terminate"
      }
    }
  }

  block_device_mappings {
    device_name = "/dev/sda1"

    ebs {
      encrypted             = true
      delete_on_termination = true
      volume_type           = "gp3"
      volume_size           = each.value.disk_gib
    }
  }

  network_interfaces {
    associate_public_ip_address = true
    delete_on_termination       = true
    device_index                = 0
    subnet_id                   = aws_subnet.this[each.value.zone].id
    security_groups             = [aws_security_group.this.id]
  }

  monitoring {
    enabled = false
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume"])

    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = "${var.name}-${each.key}", "leverframe-runners" = var.name })
    }
  }
}

# Of the job that starts machines: it takes what the templates say, in nothing but the type of machine its own choice
# among those that are listed, and it ends only machines of this pool.
resource "aws_iam_role" "starter" {
  name                 = "${var.name}-starter"
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = var.oidc_provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = "repo:${local.subject}:environment:${var.environment}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "starter" {
  name = "start-and-end-runners"
  role = aws_iam_role.starter.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "FromTheTemplates"
          Effect    = "Allow"
          Action    = "ec2:RunInstances"
          Resource  = ["${local.ec2}:subnet/*", "${local.ec2}:network-interface/*", "${local.ec2}:security-group/*", "${local.ec2}:volume/*", "arn:${data.aws_partition.current.partition}:ec2:${data.aws_region.current.region}::image/*"]
          Condition = { ArnEquals = { "ec2:LaunchTemplate" = local.templates }, Bool = { "ec2:IsLaunchTemplateResource" = "true" } }
        },
        {
          Sid      = "TheTemplates" # a request for a spot machine without a machine is nothing
          Effect   = "Allow"
          Action   = "ec2:RunInstances"
          Resource = concat(local.templates, ["${local.ec2}:spot-instances-request/*"])
        },
        {
          Sid      = "Machines"
          Effect   = "Allow"
          Action   = "ec2:RunInstances"
          Resource = "${local.ec2}:instance/*"
          Condition = {
            ArnEquals    = { "ec2:LaunchTemplate" = local.templates }
            StringEquals = { "ec2:InstanceType" = local.types, "ec2:MetadataHttpTokens" = "required" }
            Null         = { "ec2:InstanceProfile" = "true" }
          }
        },
        {
          Sid       = "TagsAtTheStart"
          Effect    = "Allow"
          Action    = "ec2:CreateTags"
          Resource  = ["${local.ec2}:instance/*", "${local.ec2}:volume/*", "${local.ec2}:spot-instances-request/*"]
          Condition = { StringEquals = { "ec2:CreateAction" = "RunInstances" } }
        },
        {
          Sid       = "EndOurs"
          Effect    = "Allow"
          Action    = "ec2:TerminateInstances"
          Resource  = "${local.ec2}:instance/*"
          Condition = { StringEquals = { "aws:ResourceTag/leverframe-runners" = var.name } }
        },
        {
          Sid      = "Look"
          Effect   = "Allow"
          Action   = ["ec2:DescribeInstances", "ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"]
          Resource = "*" # these actions know no resource
        },
      ],
      length(local.parameters) == 0 ? [] : [
        {
          Sid      = "ResolveImages"
          Effect   = "Allow"
          Action   = "ssm:GetParameters"
          Resource = [for parameter in local.parameters : "arn:${data.aws_partition.current.partition}:ssm:${data.aws_region.current.region}::parameter${parameter}"]
        },
      ],
    )
  })
}
