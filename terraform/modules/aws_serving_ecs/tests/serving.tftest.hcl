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
  name               = "shop-dev-serving"
  model              = "rides"
  image              = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/leverframe@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  ecr_repository_arn = "arn:aws:ecr:eu-central-1:111122223333:repository/leverframe"
  remote_bucket_arn  = "arn:aws:s3:::shop-data"
  remote_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1"
  vpc_id             = "vpc-1"
  vpc_cidr           = "10.20.0.0/16"
  private_subnet_ids = ["subnet-1", "subnet-2"]
  client_cidrs       = ["10.0.0.0/8"]
  certificate_arn    = "arn:aws:acm:eu-central-1:111122223333:certificate/1"
  s3_prefix_list_id  = "pl-1"
  log_group_name     = "/leverframe/shop-dev-serving/server"
  log_group_arn      = "arn:aws:logs:eu-central-1:111122223333:log-group:/leverframe/shop-dev-serving/server"
}

run "serves_a_release_as_a_pod_does" {
  command = plan

  assert {
    condition     = aws_lb_target_group.this.health_check[0].path == "/v2/models/rides/ready" && aws_lb_target_group.this.health_check[0].matcher == "200"
    error_message = "A task gets requests once its model has predicted its golden rows, not once a server without a model runs."
  }

  assert {
    condition = [
      for container in jsondecode(aws_ecs_task_definition.this.container_definitions) : try(container.dependsOn, []) if container.name == "server"
    ] == [[{ containerName = "fetch", condition = "SUCCESS" }]]
    error_message = "The server must start only after its bundle was fetched and verified."
  }

  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.this.container_definitions) :
      container.readonlyRootFilesystem && container.user == "10001:10001" && !container.privileged && container.linuxParameters.capabilities.drop == ["ALL"]
    ])
    error_message = "Containers must run without root, without capabilities and on a read-only file system."
  }

  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.this.container_definitions) :
      { for pair in container.environment : pair.name => pair.value } == {
        OMP_NUM_THREADS           = "1", OPENBLAS_NUM_THREADS = "1", MKL_NUM_THREADS = "1"
        MLSERVER_PARALLEL_WORKERS = "0", MLSERVER_DEBUG = "false", HOME = "/tmp"
      }
    ])
    error_message = "A task must have the environment that a pod has."
  }

  assert {
    condition     = alltrue([for container in jsondecode(aws_ecs_task_definition.this.container_definitions) : container.logConfiguration.options["awslogs-group"] == var.log_group_name])
    error_message = "Every container must log."
  }

  assert {
    condition     = !aws_ecs_service.this.network_configuration[0].assign_public_ip && !aws_ecs_service.this.enable_execute_command
    error_message = "Tasks must have no public address, and nobody a shell in them."
  }
}

run "rolls_a_bad_release_back" {
  command = plan

  variables {
    rollback_alarms = ["shop-dev-5xx"]
  }

  assert {
    condition     = aws_ecs_service.this.deployment_circuit_breaker[0].enable && aws_ecs_service.this.deployment_circuit_breaker[0].rollback
    error_message = "Tasks that do not get ready must end the rollout and bring the release before back."
  }

  assert {
    condition     = aws_ecs_service.this.deployment_minimum_healthy_percent == 100
    error_message = "Tasks that serve must stay until new ones are ready."
  }

  assert {
    condition     = aws_ecs_service.this.deployment_maximum_percent == 200 && aws_ecs_service.this.health_check_grace_period_seconds >= 60 && tonumber(aws_lb_target_group.this.deregistration_delay) >= 15
    error_message = "A rollout needs room for new tasks, time for them to start, and time for requests of old ones to end."
  }

  assert {
    condition     = { for container in jsondecode(aws_ecs_task_definition.this.container_definitions) : container.name => [container.essential, try(container.stopTimeout, 30) >= 30] } == { fetch = [false, true], server = [true, true] }
    error_message = "A task must live on when `fetch` has ended, and let requests end before it does."
  }

  assert {
    condition     = aws_ecs_service.this.alarms[0].rollback && aws_ecs_service.this.alarms[0].alarm_names == toset(["shop-dev-5xx"])
    error_message = "Alarms must roll a deployment back."
  }
}

run "scales_on_demand" {
  command = plan

  assert {
    condition = (
      aws_appautoscaling_policy.requests.target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "ALBRequestCountPerTarget"
      && aws_appautoscaling_policy.requests.target_tracking_scaling_policy_configuration[0].target_value == 6000
    )
    error_message = "Requests a task must be tracked."
  }

  assert {
    condition = (
      aws_appautoscaling_policy.cpu.target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "ECSServiceAverageCPUUtilization"
      && aws_appautoscaling_policy.cpu.target_tracking_scaling_policy_configuration[0].target_value == 60
    )
    error_message = "CPU must be tracked."
  }

  assert {
    condition     = aws_appautoscaling_target.this.min_capacity == 2 && aws_appautoscaling_target.this.max_capacity == 6
    error_message = "The number of tasks must have both bounds."
  }
}

run "is_reached_by_tls_alone" {
  command = plan

  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS" && aws_lb_listener.https.port == 443 && aws_lb_listener.https.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    error_message = "Clients must reach the service by TLS 1.2 or 1.3."
  }

  assert {
    condition     = aws_lb_listener.http.default_action[0].type == "redirect" && aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS"
    error_message = "Without TLS there must be a redirect and nothing else."
  }

  assert {
    condition     = aws_lb.this.internal && aws_lb.this.enable_deletion_protection && aws_lb.this.drop_invalid_header_fields
    error_message = "The load balancer must be internal, protected from deletion and strict about headers."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.clients : rule.cidr_ipv4 == "10.0.0.0/8" && contains([80, 443], rule.from_port) && rule.from_port == rule.to_port])
    error_message = "Only clients may reach the load balancer, on its two ports."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.from_load_balancer.cidr_ipv4 == null && aws_vpc_security_group_ingress_rule.from_load_balancer.from_port == 8080
    error_message = "Only the load balancer may reach tasks."
  }
}

run "may_do_little" {
  command = plan

  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Action])) == toset(["s3:GetObject", "s3:ListBucket", "kms:Decrypt"])
    error_message = "A task must read its bundle and nothing else."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : statement.Resource if statement.Sid == "ReadBundles"] == ["arn:aws:s3:::shop-data/dvc/files/md5/*"]
    error_message = "A task must read the DVC remote and no other prefix."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement : try(statement.Condition.StringEquals["kms:ViaService"] == "s3.eu-central-1.amazonaws.com", false) if statement.Action == ["kms:Decrypt"]])
    error_message = "A task must use the key through S3 alone."
  }

  assert {
    condition     = alltrue([for statement in concat(jsondecode(aws_iam_role_policy.task.policy).Statement, jsondecode(aws_iam_role_policy.execution.policy).Statement) : statement.Resource != "*" || statement.Sid == "LogIn"])
    error_message = "Only the login of ECR knows no resource."
  }

  assert {
    condition     = alltrue([for role in [aws_iam_role.task, aws_iam_role.execution] : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "111122223333"])
    error_message = "Tasks of no other account may take the roles."
  }
}

run "logs_requests_on_a_file_system" {
  command = plan

  variables {
    request_log = {
      file_system_id  = "fs-1", file_system_arn = "arn:aws:elasticfilesystem:eu-central-1:111122223333:file-system/fs-1"
      access_point_id = "fsap-1", access_point_arn = "arn:aws:elasticfilesystem:eu-central-1:111122223333:access-point/fsap-1"
      cidr            = "10.20.0.0/16"
    }
  }

  assert {
    condition     = alltrue([for volume in aws_ecs_task_definition.this.volume : volume.efs_volume_configuration[0].transit_encryption == "ENABLED" && volume.efs_volume_configuration[0].authorization_config[0].iam == "ENABLED" if volume.name == "log"])
    error_message = "The log must be encrypted on its way, and written by the role of the task."
  }

  assert {
    condition     = contains([for volume in aws_ecs_task_definition.this.volume : volume.name], "log") && length(aws_vpc_security_group_egress_rule.to_log) == 1
    error_message = "Tasks must mount the log and reach it."
  }
}

run "starts_without_a_release" {
  assert {
    condition     = aws_ecs_service.this.desired_count == 0 && aws_ecs_service.this.task_definition == aws_ecs_task_definition.this.arn
    error_message = "The service must start with no task, on the revision of Terraform."
  }
}

run "leaves_release_and_tasks_alone" {
  plan_options {
    replace = [aws_ecs_task_definition.this] # as a new image does at AWS, where a revision cannot be changed
  }

  assert {
    condition     = aws_ecs_service.this.task_definition == run.starts_without_a_release.task_definition_arn && aws_ecs_task_definition.this.arn != run.starts_without_a_release.task_definition_arn
    error_message = "An apply must not reset which release runs."
  }
}
