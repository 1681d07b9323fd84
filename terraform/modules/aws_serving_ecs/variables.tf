variable "name" {
  description = "Name of the service and beginning of the names around it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "Use 3 to 24 lower-case letters, digits and hyphens, beginning with a letter."
  }

  validation {
    condition     = !startswith(var.name, "internal-")
    error_message = "AWS refuses load balancers whose names begin with internal-."
  }
}

variable "model" {
  description = "Name of the served model, as in leverframe.yaml; the load balancer asks whether it is ready."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]*$", var.model))
    error_message = "Use letters, digits, dots, hyphens and underscores: the name is part of a URL."
  }
}

variable "image" {
  description = "Image of the server with its digest, as registry/name@sha256:...; see the guide for how it is built."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^@ ]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Pin the image by its digest: registry/name@sha256:<64 digits>. A tag may become another image."
  }
}

variable "ecr_repository_arn" {
  description = "ECR repository of the image; null for another registry that needs no login, to which the network has a way: that of aws_network has none out."
  type        = string
  default     = null

  validation {
    condition     = var.ecr_repository_arn == null || can(regex("^arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository/[^*]+$", var.ecr_repository_arn))
    error_message = "Give the ARN of one repository, without wildcards."
  }
}

variable "remote_bucket_arn" {
  description = "Bucket of the DVC remote from which a task fetches its bundle."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9.-]+$", var.remote_bucket_arn))
    error_message = "Give the ARN of one bucket, without wildcards."
  }
}

variable "remote_prefix" {
  description = "Prefix of the DVC remote in the bucket, without slashes at its ends; tasks read nothing else."
  type        = string
  default     = "dvc"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", var.remote_prefix))
    error_message = "Name a prefix such as dvc or teams/models: a task that reads the whole bucket reads too much."
  }
}

variable "remote_kms_key_arn" {
  description = "Key of the bucket; null if it has none of its own."
  type        = string
  default     = null

  validation {
    condition     = var.remote_kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/", var.remote_kms_key_arn))
    error_message = "Give the ARN of a KMS key, not of an alias."
  }
}

variable "vpc_id" {
  description = "Network of the service."
  type        = string
  nullable    = false
}

variable "vpc_cidr" {
  description = "Address range of the network, where the endpoints of AWS services are."
  type        = string
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && var.vpc_cidr != "0.0.0.0/0"
    error_message = "Give the IPv4 range of the network in CIDR notation."
  }
}

variable "private_subnet_ids" {
  description = "Private subnets of the tasks, in two availability zones at least."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(distinct(var.private_subnet_ids)) >= 2
    error_message = "Name at least two subnets, in different availability zones."
  }
}

variable "load_balancer_subnet_ids" {
  description = "Subnets of the load balancer; by default those of the tasks."
  type        = list(string)
  default     = null
}

variable "internal" {
  description = "Whether the load balancer has private addresses alone."
  type        = bool
  default     = true
  nullable    = false
}

variable "client_cidrs" {
  description = "Address ranges that may send requests."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.client_cidrs) > 0 && alltrue([for cidr in var.client_cidrs : can(cidrnetmask(cidr))])
    error_message = "Give at least one IPv4 range in CIDR notation."
  }

  validation {
    condition     = alltrue([for cidr in var.client_cidrs : try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "The server knows no users: do not open it to the internet. Give the ranges of the clients, /8 at most."
  }
}

variable "certificate_arn" {
  description = "Certificate of the load balancer in ACM."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/", var.certificate_arn))
    error_message = "Give the ARN of a certificate of ACM: requests hold data, so there is no listener without TLS."
  }
}

variable "s3_prefix_list_id" {
  description = "Addresses of S3 in this network, of a gateway endpoint."
  type        = string
  nullable    = false
}

variable "egress" {
  description = "What else tasks may reach, by a name: such as Redis of an online store. DNS and AWS endpoints are allowed anyway."
  type        = map(object({ cidr = string, port = number }))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for rule in values(var.egress) : can(cidrnetmask(rule.cidr)) && rule.port > 0 && rule.port < 65536])
    error_message = "Each entry has an IPv4 range in CIDR notation and a port."
  }

  validation {
    condition     = alltrue([for name in keys(var.egress) : can(regex("^[a-zA-Z0-9. _:/()#,@\\[\\]+=&;{}!$*-]{1,255}$", name))])
    error_message = "The name of an entry becomes the description of a rule: AWS takes no quotes and no letters but a to z."
  }
}

variable "log_group_name" {
  description = "Log group of the containers."
  type        = string
  nullable    = false
}

variable "log_group_arn" {
  description = "ARN of the log group."
  type        = string
  nullable    = false
}

variable "access_log_bucket" {
  description = "Bucket for the access log of the load balancer; null for none."
  type        = string
  default     = null
}

variable "request_log" {
  description = "EFS file system and access point (of user 10001) where tasks log requests for `leverframe monitor`; null for no request log."
  type        = object({ file_system_id = string, file_system_arn = string, access_point_arn = string, access_point_id = string, cidr = string })
  default     = null
}

variable "cpu" {
  description = "CPU of a task in units of 1/1024. A server is one process, so more than one CPU helps only its neighbours."
  type        = number
  default     = 1024
  nullable    = false

  validation {
    condition     = contains([512, 1024, 2048, 4096], var.cpu)
    error_message = "Use 512, 1024, 2048 or 4096."
  }
}

variable "memory" {
  description = "Memory of a task in MiB."
  type        = number
  default     = 2048
  nullable    = false

  validation {
    condition     = var.memory % 1024 == 0 && var.memory >= 2 * var.cpu && var.memory <= min(8 * var.cpu, 30720)
    error_message = "Fargate wants whole GiB, from twice to eight times the CPU units, at most 30 GiB with 4096 of them."
  }
}

variable "architecture" {
  description = "Architecture of the image: X86_64 or ARM64."
  type        = string
  default     = "X86_64"
  nullable    = false

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "Use X86_64 or ARM64."
  }
}

variable "minimum_tasks" {
  description = "Tasks at least, once a release was deployed."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.minimum_tasks >= 1
    error_message = "Target tracking does not start a service from zero: keep at least one task."
  }
}

variable "maximum_tasks" {
  description = "Tasks at most."
  type        = number
  default     = 6
  nullable    = false

  validation {
    condition     = var.maximum_tasks >= var.minimum_tasks
    error_message = "The maximum is below the minimum."
  }
}

variable "requests_per_task" {
  description = "Requests a minute and task that autoscaling keeps."
  type        = number
  default     = 6000
  nullable    = false

  validation {
    condition     = var.requests_per_task > 0
    error_message = "Give more than 0; measure what one task serves with `python -m benchmarks.serving`."
  }
}

variable "cpu_percent" {
  description = "CPU, in per cent, that autoscaling keeps."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.cpu_percent >= 10 && var.cpu_percent <= 90
    error_message = "Use 10 to 90: above, a peak finds no room before new tasks are ready."
  }
}

variable "rollback_alarms" {
  description = "Names of CloudWatch alarms that roll a deployment back."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the load balancer."
  type        = bool
  default     = true
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "The most that roles of this module may do: the boundary of the module github_oidc, without which its apply role creates no role."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/", var.permissions_boundary_arn))
    error_message = "Give the ARN of a policy."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
