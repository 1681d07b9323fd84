data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

locals {
  folder = "/var/lib/leverframe" # of the release in a task, as in a pod
  log    = "/var/log/leverframe"
  bucket = element(split(":::", var.remote_bucket_arn), 1)
  port   = 8080
  mounts = [
    { sourceVolume = "release", containerPath = local.folder, readOnly = false },
    { sourceVolume = "tmp", containerPath = "/tmp", readOnly = false },
  ]
  log_mounts = var.request_log == null ? [] : [{ sourceVolume = "log", containerPath = local.log, readOnly = false }]
  environment = [
    { name = "OMP_NUM_THREADS", value = "1" },
    { name = "OPENBLAS_NUM_THREADS", value = "1" },
    { name = "MKL_NUM_THREADS", value = "1" },
    { name = "MLSERVER_PARALLEL_WORKERS", value = "0" },
    { name = "MLSERVER_DEBUG", value = "false" },
    { name = "HOME", value = "/tmp" },
  ]
  container = {
    image                  = var.image
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    privileged             = false
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    environment            = local.environment
    mountPoints            = concat(local.mounts, local.log_mounts)
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = var.log_group_name
        awslogs-region        = data.aws_region.current.region
        awslogs-stream-prefix = var.name
        mode                  = "non-blocking" # a slow log never slows a prediction
      }
    }
  }
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

# The first revision has no release: `leverframe fetch` lacks --md5 and --bundle and says so. `release.py` registers
# the revisions that serve, with everything else as it is here.
resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn
  skip_destroy             = true # a running service may still use the revision before
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  volume {
    name = "release"
  }

  volume {
    name = "tmp"
  }

  dynamic "volume" {
    for_each = var.request_log == null ? [] : [var.request_log]

    content {
      name = "log"

      efs_volume_configuration {
        file_system_id     = volume.value.file_system_id
        transit_encryption = "ENABLED"

        authorization_config {
          access_point_id = volume.value.access_point_id
          iam             = "ENABLED"
        }
      }
    }
  }

  container_definitions = jsonencode([
    merge(local.container, {
      name       = "fetch"
      essential  = false # it ends; the server starts only if it ended with 0
      entryPoint = ["leverframe", "fetch"]
      command    = ["--remote", "s3://${local.bucket}/${var.remote_prefix}", "--model", var.model, "--to", local.folder]
    }),
    merge(local.container, {
      name         = "server"
      essential    = true
      entryPoint   = ["python", "-P", "-m", "leverframe.serving.server"]
      command      = ["${local.folder}/config.json"]
      dependsOn    = [{ containerName = "fetch", condition = "SUCCESS" }]
      portMappings = [{ name = "http", containerPort = local.port, protocol = "tcp" }]
      stopTimeout  = 45
      healthCheck = {
        command     = ["CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:${local.port}/v2/health/live', timeout=3)"]
        interval    = 10
        timeout     = 5
        retries     = 6
        startPeriod = 180
      }
    }),
  ])
}

resource "aws_ecs_service" "this" {
  name                               = var.name
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.this.arn
  launch_type                        = "FARGATE"
  platform_version                   = "LATEST"
  desired_count                      = 0 # nothing to serve until `release.py` brings the first release
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 180
  enable_execute_command             = false
  propagate_tags                     = "SERVICE"
  tags                               = var.tags

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [aws_security_group.task.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.this.arn
    container_name   = "server"
    container_port   = local.port
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  dynamic "alarms" {
    for_each = length(var.rollback_alarms) == 0 ? [] : [var.rollback_alarms]

    content {
      alarm_names = alarms.value
      enable      = true
      rollback    = true
    }
  }

  lifecycle {
    # The release is of the deployment, the number of tasks of the autoscaler: an apply resets neither.
    ignore_changes = [task_definition, desired_count]
  }

  depends_on = [aws_lb_listener.https]
}

resource "aws_appautoscaling_target" "this" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.this.name}"
  min_capacity       = var.minimum_tasks
  max_capacity       = var.maximum_tasks
  tags               = var.tags
}

resource "aws_appautoscaling_policy" "requests" {
  name               = "${var.name}-requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.requests_per_task
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = "${aws_lb.this.arn_suffix}/${aws_lb_target_group.this.arn_suffix}"
    }
  }
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "${var.name}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = var.cpu_percent
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}
