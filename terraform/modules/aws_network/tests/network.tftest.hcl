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
  name        = "shop-dev"
  zones       = ["eu-central-1a", "eu-central-1b"]
  kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1"
}

run "has_no_way_out" {
  command = plan

  assert {
    condition     = alltrue([for subnet in aws_subnet.private : !subnet.map_public_ip_on_launch]) && length(aws_subnet.private) == 2
    error_message = "Subnets must be private, one a zone."
  }

  assert {
    condition     = aws_subnet.private["eu-central-1a"].cidr_block == "10.20.0.0/20" && aws_subnet.private["eu-central-1b"].cidr_block == "10.20.16.0/20"
    error_message = "Subnets must not overlap."
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["ecr.api", "ecr.dkr", "logs"]) && alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "A task without an internet gateway needs endpoints of ECR and of CloudWatch Logs, by their usual names."
  }

  assert {
    condition     = aws_vpc_endpoint.s3.service_name == "com.amazonaws.eu-central-1.s3" && aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway"
    error_message = "The remote and the layers of images are in S3."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == "10.20.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints.from_port == 443
    error_message = "Endpoints are for the network alone."
  }

  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_cloudwatch_log_group.flow.kms_key_id == var.kms_key_arn && aws_cloudwatch_log_group.flow.retention_in_days == 365
    error_message = "Who reached what must be logged, encrypted, and kept for a year."
  }

  assert {
    condition     = jsondecode(aws_iam_role.flow.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "111122223333"
    error_message = "The flow log of no other account may take the role."
  }
}

run "makes_a_key_of_its_own" {
  command = plan

  variables {
    kms_key_arn = null
  }

  assert {
    condition     = aws_kms_key.flow[0].enable_key_rotation && alltrue([for statement in jsondecode(aws_kms_key.flow[0].policy).Statement : can(statement.Condition) || statement.Sid == "Account"])
    error_message = "The key must rotate, and serve the flow log alone."
  }
}
