output "namespace" {
  description = "Namespace, for `kubernetes.namespace` in leverframe.yaml."
  value       = kubernetes_namespace_v1.this.metadata[0].name
}

output "service_account" {
  description = "Service account of the pods, for the trust of a cloud's role."
  value       = kubernetes_service_account_v1.pods.metadata[0].name
}

output "log_claim" {
  description = "Claim, for `kubernetes.log_claim` in leverframe.yaml; null where there is none."
  value       = one(kubernetes_persistent_volume_claim_v1.log[*].metadata[0].name)
}
