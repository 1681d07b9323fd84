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
  repository        = "acme/shop"
  oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  zones             = ["eu-central-1a", "eu-central-1b"]
}

run "costs_nothing_while_nothing_runs" {
  command = plan

  assert {
    condition     = toset(keys(aws_launch_template.this)) == toset(["cpu-eu-central-1a", "cpu-eu-central-1b", "gpu-eu-central-1a", "gpu-eu-central-1b"])
    error_message = "There must be a template a pool and zone, and no machine."
  }

  assert {
    condition     = alltrue([for template in aws_launch_template.this : template.instance_initiated_shutdown_behavior == "terminate"])
    error_message = "A machine that shuts down must end."
  }

  assert {
    condition     = alltrue([for template in aws_launch_template.this : template.instance_market_options[0].market_type == "spot" && template.instance_market_options[0].spot_options[0].spot_instance_type == "one-time"])
    error_message = "Machines must be spot machines that do not come back."
  }
}

run "starts_machines_without_credentials" {
  command = plan

  assert {
    condition     = alltrue([for template in aws_launch_template.this : template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "The metadata service must ask for a token, and not answer containers."
  }

  assert {
    condition     = alltrue([for template in aws_launch_template.this : length(template.iam_instance_profile) == 0 && template.key_name == null])
    error_message = "A machine must have neither a role nor a key to log in with."
  }

  assert {
    condition     = alltrue([for template in aws_launch_template.this : template.block_device_mappings[0].ebs[0].encrypted == "true" && template.block_device_mappings[0].ebs[0].delete_on_termination == "true"])
    error_message = "Disks must be encrypted, and go with the machine."
  }
}

run "is_started_by_one_environment_and_reached_by_nobody" {
  override_resource {
    target = aws_launch_template.this
    values = { arn = "arn:aws:ec2:eu-central-1:111122223333:launch-template/lt-1" }
  }

  assert {
    condition     = length(aws_security_group.this.ingress) == 0 && aws_vpc_security_group_egress_rule.https.from_port == 443 && aws_vpc_security_group_egress_rule.https.to_port == 443
    error_message = "Nothing may reach a runner, and a runner reaches HTTPS alone."
  }

  assert {
    condition     = jsondecode(aws_iam_role.starter.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:acme/shop:environment:runners"
    error_message = "Only jobs of the environment may take the role, compared letter by letter."
  }

  assert {
    condition     = jsondecode(aws_iam_role.starter.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    error_message = "Tokens for another audience must be refused."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.starter.policy).Statement :
      statement.Condition.StringEquals["ec2:MetadataHttpTokens"] == "required" && statement.Condition.Null["ec2:InstanceProfile"] == "true" && length(statement.Condition.StringEquals["ec2:InstanceType"]) == 5
      if statement.Sid == "Machines"
    ])
    error_message = "The role must start machines of listed types alone, with IMDSv2 and without a role of their own."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.starter.policy).Statement : statement.Resource != "*" || statement.Sid == "Look"])
    error_message = "Only looking knows no resource."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.starter.policy).Statement : statement.Condition.StringEquals["aws:ResourceTag/leverframe-runners"] == "leverframe-runners" if statement.Sid == "EndOurs"])
    error_message = "The role must end machines of this pool alone."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.starter.policy).Statement : try(statement.Condition.StringEquals["ec2:CreateAction"], "any") == "RunInstances" if contains(flatten([statement.Action]), "ec2:CreateTags")])
    error_message = "A tag must be given at the start alone: a tag on a machine of others lets it be ended."
  }

  assert {
    condition     = alltrue(flatten([for statement in jsondecode(aws_iam_role_policy.starter.policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*") && !startswith(action, "iam:")]]))
    error_message = "No action may be a pattern, and none of IAM."
  }
}

run "knows_a_repository_by_its_numbers" {
  command = plan

  variables {
    repository_ids = { owner = 12, repository = 345 }
  }

  assert {
    condition     = jsondecode(aws_iam_role.starter.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:acme@12/shop@345:environment:runners"
    error_message = "A subject with numbers must be compared with its numbers."
  }
}

run "takes_on_demand_machines" {
  command = plan

  variables {
    pools = { cpu = { instance_types = ["c7i.large"], image = "ami-0123", spot = false } }
  }

  assert {
    condition     = alltrue([for template in aws_launch_template.this : length(template.instance_market_options) == 0])
    error_message = "Without spot a machine must be on demand."
  }

  assert {
    condition     = output.pools.cpu.templates == ["leverframe-runners-cpu-eu-central-1a", "leverframe-runners-cpu-eu-central-1b"]
    error_message = "The pool must say which templates it has."
  }
}
