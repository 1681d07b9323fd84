variable "name" {
  description = "Name of the deployment, such as shop-dev: the `name` of its roles in aws-account, and the beginning of all names here."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,13}[a-z0-9]$", var.name)) && !startswith(var.name, "internal-")
    error_message = "Use 3 to 15 lower-case letters, digits and hyphens, not beginning with internal-: AWS wants names of load balancers so."
  }
}

variable "account_id" {
  description = "The account; a plan with credentials of another one fails."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account has twelve digits."
  }
}

variable "region" {
  description = "Region of everything."
  type        = string
  nullable    = false
}

variable "model" {
  description = "Name of the served model, as in leverframe.yaml."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment of `deploy.environments`, as `deploy` of the deployment in aws-account names it: alarms of the monitor look at its figures."
  type        = string
  default     = "staging"
  nullable    = false
}

variable "image" {
  description = "Image of the server with its digest."
  type        = string
  nullable    = false
}

variable "ecr_repository_arn" {
  description = "ECR repository of the image; null for another registry, to which the network must have a way: that of aws-account has none out."
  type        = string
  default     = null
}

variable "network" {
  description = "Name of the network, which aws-account made."
  type        = string
  nullable    = false
}

variable "data" {
  description = "DVC remote: what aws-account puts out as `data`."
  type        = object({ bucket_arn = string, kms_key_arn = string, prefix = string })
  nullable    = false
}

variable "certificate_arn" {
  description = "Certificate of the service in ACM."
  type        = string
  nullable    = false
}

variable "client_cidrs" {
  description = "Address ranges that may send requests."
  type        = set(string)
  nullable    = false
}

variable "minimum_tasks" {
  description = "Tasks at least."
  type        = number
  default     = 1
  nullable    = false
}

variable "maximum_tasks" {
  description = "Tasks at most."
  type        = number
  default     = 2
  nullable    = false
}

variable "cpu" {
  description = "CPU of a task in units of 1/1024."
  type        = number
  default     = 1024
  nullable    = false
}

variable "memory" {
  description = "Memory of a task in MiB."
  type        = number
  default     = 2048
  nullable    = false
}

variable "egress" {
  description = "What else tasks may reach, by a name: such as Redis of an online store."
  type        = map(object({ cidr = string, port = number }))
  default     = {}
  nullable    = false
}

variable "request_log" {
  description = "EFS file system and access point where tasks log requests for the monitor, as the module aws_serving_ecs takes it; null for no request log."
  type        = object({ file_system_id = string, file_system_arn = string, access_point_arn = string, access_point_id = string, cidr = string })
  default     = null
}

variable "access_log_bucket" {
  description = "Bucket for the access log of the load balancer, with keys of S3; null for none."
  type        = string
  default     = null
}

variable "monthly_usd" {
  description = "What a month may cost, in US dollars."
  type        = number
  nullable    = false
}

variable "emails" {
  description = "Who is told of alarms and of the budget."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.emails) > 0
    error_message = "Name somebody: an alarm that nobody hears is none."
  }
}

variable "publisher" {
  description = "Who sends the figures of the monitor to CloudWatch, as the module observability takes it."
  type        = object({ provider_arn = string, subjects = set(string) })
  default     = null
}
