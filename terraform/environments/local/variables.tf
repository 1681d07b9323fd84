variable "server" {
  description = "Name of the server: the environment in `deploy.environments` that it serves; by default that of this environment."
  type        = string
  default     = null
}

variable "port" {
  description = "Port of REST; 0 takes a free one."
  type        = number
  default     = 8080
}

variable "grpc_port" {
  description = "Port of gRPC; 0 takes a free one."
  type        = number
  default     = 8081
}

variable "metrics_port" {
  description = "Port of the metrics; 0 takes a free one."
  type        = number
  default     = 8082
}

variable "dvc_remote" {
  description = "Folder for a DVC remote, relative to the repository; by default .leverframe/storage, with the name of the environment behind it where that is not local."
  type        = string
  default     = null
}
