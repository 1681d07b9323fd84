# The platform around a model. Deployment, Service, autoscaler, disruption budget and the network policy that opens the
# pods to their clients are those of `leverframe deploy`, and so are their fields.
locals {
  labels = merge({ "app.kubernetes.io/managed-by" = "terraform", "app.kubernetes.io/part-of" = "leverframe" }, var.labels)
}

resource "kubernetes_namespace_v1" "this" {
  metadata {
    name = var.namespace
    labels = merge(local.labels, {
      "pod-security.kubernetes.io/enforce"         = "restricted"
      "pod-security.kubernetes.io/enforce-version" = "latest"
      "pod-security.kubernetes.io/warn"            = "restricted"
    })
  }
}

resource "kubernetes_resource_quota_v1" "this" {
  metadata {
    name      = "leverframe"
    namespace = kubernetes_namespace_v1.this.metadata[0].name
    labels    = local.labels
  }

  spec {
    hard = {
      "pods"                   = tostring(var.maximum_pods)
      "requests.cpu"           = tostring(var.maximum_pods)
      "limits.cpu"             = tostring(var.maximum_pods)
      "requests.memory"        = "${(var.maximum_pods - 1) * var.pod_memory_gib + var.monitor_memory_gib}Gi"
      "limits.memory"          = "${(var.maximum_pods - 1) * var.pod_memory_gib + var.monitor_memory_gib}Gi"
      "services.loadbalancers" = "0" # the service of a model is of the cluster alone
      "services.nodeports"     = "0"
    }
  }
}

# A container that asks for nothing is refused by the quota: the jobs of the monitor get this.
resource "kubernetes_limit_range_v1" "this" {
  metadata {
    name      = "leverframe"
    namespace = kubernetes_namespace_v1.this.metadata[0].name
    labels    = local.labels
  }

  spec {
    limit {
      type            = "Container"
      default         = { cpu = "1", memory = "1Gi" }
      default_request = { cpu = "500m", memory = "512Mi" }
    }
  }
}

# Nothing goes in or out, except names. The policies that `leverframe deploy` applies open what a model needs.
resource "kubernetes_network_policy_v1" "closed" {
  metadata {
    name      = "closed"
    namespace = kubernetes_namespace_v1.this.metadata[0].name
    labels    = local.labels
  }

  spec {
    policy_types = ["Ingress", "Egress"]

    pod_selector {}

    egress {
      to {
        namespace_selector {
          match_labels = { "kubernetes.io/metadata.name" = var.dns }
        }
      }

      ports {
        port     = "53"
        protocol = "UDP"
      }

      ports {
        port     = "53"
        protocol = "TCP"
      }
    }
  }
}

# `leverframe deploy` applies the same object and keeps these annotations, for no manifest of it sets them.
resource "kubernetes_service_account_v1" "pods" {
  automount_service_account_token = false

  metadata {
    name        = var.name
    namespace   = kubernetes_namespace_v1.this.metadata[0].name
    labels      = local.labels
    annotations = var.service_account_annotations
  }

  lifecycle {
    ignore_changes = [metadata[0].labels]
  }
}

# What `leverframe deploy` and `leverframe rollback` call, and nothing else: no secret, no exec, no role.
resource "kubernetes_role_v1" "deployer" {
  metadata {
    name      = "leverframe-deployer"
    namespace = kubernetes_namespace_v1.this.metadata[0].name
    labels    = local.labels
  }

  rule {
    api_groups = ["apps"]
    resources  = ["deployments"]
    verbs      = ["get", "list", "watch", "create", "patch", "delete"]
  }

  rule {
    api_groups = [""]
    resources  = ["services", "configmaps", "serviceaccounts"]
    verbs      = ["get", "list", "watch", "create", "patch"]
  }

  rule {
    api_groups = ["autoscaling"]
    resources  = ["horizontalpodautoscalers"]
    verbs      = ["get", "list", "watch", "create", "patch"]
  }

  rule {
    api_groups = ["policy"]
    resources  = ["poddisruptionbudgets"]
    verbs      = ["get", "list", "watch", "create", "patch"]
  }

  rule {
    api_groups = ["networking.k8s.io"]
    resources  = ["networkpolicies"]
    verbs      = ["get", "list", "watch", "create", "patch"]
  }

  rule {
    api_groups = ["batch"]
    resources  = ["cronjobs"]
    verbs      = ["get", "list", "watch", "create", "patch"]
  }

  dynamic "rule" {
    for_each = var.kserve ? [1] : []

    content {
      api_groups = ["serving.kserve.io"]
      resources  = ["inferenceservices", "servingruntimes"]
      verbs      = ["get", "list", "watch", "create", "patch", "delete"]
    }
  }

  rule {
    api_groups = ["apps"]
    resources  = ["replicasets"]
    verbs      = ["get", "list", "watch"]
  }

  rule {
    api_groups = [""]
    resources  = ["pods", "pods/log", "events"]
    verbs      = ["get", "list", "watch"]
  }
}

resource "kubernetes_role_binding_v1" "deployer" {
  metadata {
    name      = "leverframe-deployer"
    namespace = kubernetes_namespace_v1.this.metadata[0].name
    labels    = local.labels
  }

  role_ref {
    api_group = "rbac.authorization.k8s.io"
    kind      = "Role"
    name      = kubernetes_role_v1.deployer.metadata[0].name
  }

  dynamic "subject" {
    for_each = var.deployers

    content {
      api_group = "rbac.authorization.k8s.io"
      kind      = "Group"
      name      = subject.value
    }
  }
}

resource "kubernetes_persistent_volume_claim_v1" "log" {
  count = var.log_claim == null ? 0 : 1

  wait_until_bound = false # a class may wait for the first pod

  metadata {
    name      = var.log_claim.name
    namespace = kubernetes_namespace_v1.this.metadata[0].name
    labels    = local.labels
  }

  spec {
    access_modes       = ["ReadWriteMany"]
    storage_class_name = var.log_claim.storage_class

    resources {
      requests = { storage = "${var.log_claim.size_gib}Gi" }
    }
  }
}
