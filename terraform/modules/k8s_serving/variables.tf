variable "namespace" {
  description = "Namespace of the model, as `kubernetes.namespace` in leverframe.yaml names it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace)) && !contains(["default", "kube-system", "kube-public", "kube-node-lease"], var.namespace)
    error_message = "Use a namespace of its own: lower-case letters, digits and hyphens, none of Kubernetes' own."
  }
}

variable "name" {
  description = "Name of the workload: `kubernetes.name` in leverframe.yaml, by default the model."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.name))
    error_message = "Use lower-case letters, digits and hyphens."
  }
}

variable "maximum_pods" {
  description = "Pods of the namespace at most: those of the autoscaler, one more during a rollout, those of the monitor."
  type        = number
  default     = 8
  nullable    = false

  validation {
    condition     = var.maximum_pods >= 3
    error_message = "A model has two pods at least and a third while it is rolled out."
  }
}

variable "pod_memory_gib" {
  description = "Memory of a pod in GiB; a pod of Leverframe asks for 1."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.pod_memory_gib >= 1
    error_message = "A pod of Leverframe asks for 1 GiB."
  }
}

variable "monitor_memory_gib" {
  description = "Memory of the monitor's pod in GiB, which is one of maximum_pods; it asks for 2."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.monitor_memory_gib >= 2
    error_message = "The monitor's pod asks for 2 GiB."
  }
}

variable "deployers" {
  description = "Who may deploy: groups as the cluster's authentication knows them, such as that of an OIDC role or an EKS access entry."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.deployers) > 0 && alltrue([for group in var.deployers : !startswith(group, "system:")])
    error_message = "Name at least one group of your own; groups that begin with system: have more than deployers need, or everybody in them."
  }
}

variable "service_account_annotations" {
  description = "Annotations of the pods' service account, such as eks.amazonaws.com/role-arn for a role that reads the DVC remote."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "log_claim" {
  description = "Claim for the inference log, which many pods write: size, and a storage class that can be written by many. Null for none."
  type        = object({ name = string, size_gib = number, storage_class = string })
  default     = null

  validation {
    condition     = var.log_claim == null || try(var.log_claim.size_gib > 0, false)
    error_message = "Give the claim a size."
  }
}

variable "kserve" {
  description = "Whether `kubernetes.flavour` in leverframe.yaml is kserve: deployers then need its kinds, too."
  type        = bool
  default     = false
  nullable    = false
}

variable "dns" {
  description = "Namespace of the name servers."
  type        = string
  default     = "kube-system"
  nullable    = false
}

variable "labels" {
  description = "Labels of every object."
  type        = map(string)
  default     = {}
  nullable    = false
}
