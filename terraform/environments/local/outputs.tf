output "url" {
  description = "Address of the server."
  value       = local.after.server.url
}

output "ports" {
  description = "Where it listens."
  value = {
    rest    = local.after.server.port
    grpc    = local.after.server.grpc_port
    metrics = local.after.server.metrics_port
  }
}

output "folder" {
  description = "Folder of the server: its releases, key and log."
  value       = module.store.folders.model_repository
}

output "dvc_remote" {
  description = "Folder for `dvc remote add NAME PATH`, relative to the repository."
  value       = module.store.folders.dvc_remote
}
