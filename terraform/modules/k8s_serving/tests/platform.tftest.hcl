mock_provider "kubernetes" {}

variables {
  namespace                   = "models"
  name                        = "rides"
  deployers                   = ["leverframe-deployers"]
  service_account_annotations = { "eks.amazonaws.com/role-arn" = "arn:aws:iam::111122223333:role/rides" }
}

run "is_closed" {
  command = plan

  assert {
    condition     = kubernetes_namespace_v1.this.metadata[0].labels["pod-security.kubernetes.io/enforce"] == "restricted"
    error_message = "Pods of the namespace must be restricted."
  }

  assert {
    condition     = toset(kubernetes_network_policy_v1.closed.spec[0].policy_types) == toset(["Ingress", "Egress"]) && length(kubernetes_network_policy_v1.closed.spec[0].ingress) == 0
    error_message = "Nothing may come in unless a policy of a deployment says so."
  }

  assert {
    condition     = length(kubernetes_network_policy_v1.closed.spec[0].egress) == 1 && alltrue([for port in kubernetes_network_policy_v1.closed.spec[0].egress[0].ports : port.port == "53"])
    error_message = "Only names may be looked up."
  }

  assert {
    condition     = kubernetes_resource_quota_v1.this.spec[0].hard["pods"] == "8" && kubernetes_resource_quota_v1.this.spec[0].hard["requests.memory"] == "9Gi" && kubernetes_resource_quota_v1.this.spec[0].hard["limits.memory"] == "9Gi" && kubernetes_resource_quota_v1.this.spec[0].hard["services.loadbalancers"] == "0"
    error_message = "The namespace must have a quota, and no load balancer."
  }
}

run "lets_deployers_deploy" {
  command = plan

  assert {
    condition = toset(flatten([for rule in kubernetes_role_v1.deployer.rule : tolist(rule.resources)])) == toset([
      "deployments", "services", "configmaps", "serviceaccounts", "horizontalpodautoscalers", "poddisruptionbudgets",
      "networkpolicies", "cronjobs", "replicasets", "pods", "pods/log", "events",
    ])
    error_message = "Deployers get what `leverframe deploy` applies and reads: no secret, no exec, no role."
  }

  assert {
    condition     = alltrue(flatten([for rule in kubernetes_role_v1.deployer.rule : [for word in concat(tolist(rule.verbs), tolist(rule.resources), tolist(rule.api_groups)) : word != "*"]]))
    error_message = "A deployer must have no wildcard."
  }

  assert {
    condition     = [for subject in kubernetes_role_binding_v1.deployer.subject : [subject.kind, subject.name]] == [["Group", "leverframe-deployers"]]
    error_message = "The group must have the role."
  }
}

run "binds_a_role_to_pods" {
  command = plan

  assert {
    condition     = !kubernetes_service_account_v1.pods.automount_service_account_token && kubernetes_service_account_v1.pods.metadata[0].name == "rides"
    error_message = "Pods must have no token of the cluster."
  }

  assert {
    condition     = kubernetes_service_account_v1.pods.metadata[0].annotations["eks.amazonaws.com/role-arn"] == "arn:aws:iam::111122223333:role/rides"
    error_message = "The role of the cloud must be bound."
  }

  assert {
    condition     = length(kubernetes_persistent_volume_claim_v1.log) == 0
    error_message = "Without log_claim there must be no claim."
  }
}

run "claims_a_log_and_knows_kserve" {
  command = plan

  variables {
    kserve    = true
    log_claim = { name = "logs", size_gib = 50, storage_class = "efs" }
  }

  assert {
    condition     = toset(kubernetes_persistent_volume_claim_v1.log[0].spec[0].access_modes) == toset(["ReadWriteMany"]) && kubernetes_persistent_volume_claim_v1.log[0].spec[0].resources[0].requests["storage"] == "50Gi"
    error_message = "Many pods write the log."
  }

  assert {
    condition     = anytrue([for rule in kubernetes_role_v1.deployer.rule : contains(rule.resources, "inferenceservices")])
    error_message = "Deployers must be able to apply the kinds of KServe."
  }
}
