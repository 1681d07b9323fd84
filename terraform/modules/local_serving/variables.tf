variable "name" {
  description = "Name of the server, which is that of the environment that `leverframe deploy` deploys to."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", var.name))
    error_message = "A server is named by letters, digits, `_`, `.` and `-`."
  }
}

variable "ports" {
  description = "Where it listens: REST, gRPC and metrics; 0 takes a free port."
  type = object({
    rest    = optional(number, 8080)
    grpc    = optional(number, 8081)
    metrics = optional(number, 8082)
  })
  default = {}

  validation {
    condition     = alltrue([for port in values(var.ports) : port == floor(port) && port >= 0 && port <= 65535])
    error_message = "A port is a whole number from 0 (a free one) to 65535."
  }

  validation {
    condition     = length(distinct([for port in values(var.ports) : port if port != 0])) == length([for port in values(var.ports) : port if port != 0])
    error_message = "REST, gRPC and metrics need different ports."
  }
}

variable "observed" {
  description = "The server as `leverframe infra observe` found it: whether it answers, what it was started as, and the digest of the settings in leverframe.yaml."
  type        = object({ answers = bool, mark = string, settings = string })
}

variable "generation" {
  description = "The highest generation that anything observed carries."
  type        = number
  default     = 0
}

variable "repository" {
  description = "Path from the root module to the repository."
  type        = string
  default     = "../../.."
}
