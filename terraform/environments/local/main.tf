# One laptop: a model server that runs, the folders it needs, and a DVC remote. No account, no provider to download.
#
#   leverframe infra-plan --environment local
#   leverframe infra-apply --environment local

locals {
  repository  = "../../.."
  environment = terraform.workspace == "default" ? "local" : terraform.workspace
  live_file   = "${path.root}/${local.repository}/.leverframe/infra/${local.environment}/live.tfstate"

  # No two environments share a folder: the end of one would remove it under the other.
  dvc_remote = coalesce(var.dvc_remote, local.environment == "local" ? ".leverframe/storage" : ".leverframe/storage-${local.environment}")

  live  = data.terraform_remote_state.live.outputs
  after = data.terraform_remote_state.after.outputs
}

# What runs on this machine, as `leverframe infra observe` wrote it just before this plan.
data "terraform_remote_state" "live" {
  backend = "local"
  config  = { path = local.live_file }

  lifecycle {
    postcondition {
      condition     = self.outputs.server.name == coalesce(var.server, local.environment)
      error_message = "The server `${self.outputs.server.name}` was observed, and the root module names another one: set `infra.environments.${local.environment}.variables.server` in leverframe.yaml, then run `leverframe infra observe`."
    }

    postcondition {
      condition     = self.outputs.folders.dvc_remote.path == local.dvc_remote
      error_message = "The folder ${self.outputs.folders.dvc_remote.path} was observed, and the root module names another one: set `infra.environments.${local.environment}.variables.dvc_remote` in leverframe.yaml, then run `leverframe infra observe`."
    }
  }
}

module "store" {
  source = "../../modules/local_store"

  repository = local.repository
  folders = {
    dvc_remote       = { path = local.dvc_remote }
    model_repository = { path = local.live.folders.model_repository.path, layout = ["models"] }
  }
  observed   = local.live.folders
  generation = local.live.generation
}

module "serving" {
  source = "../../modules/local_serving"

  repository = local.repository
  name       = local.live.server.name
  ports      = { rest = var.port, grpc = var.grpc_port, metrics = var.metrics_port }
  observed   = local.live.server
  generation = local.live.generation

  depends_on = [module.store]
}

# Looks again once something has changed, for the checks and the next plan.
resource "terraform_data" "observed" {
  triggers_replace = [module.store.tokens, module.serving.token]

  provisioner "local-exec" {
    working_dir = "${path.root}/${local.repository}"
    command     = "leverframe infra observe --environment ${local.environment}"
  }

  depends_on = [module.store, module.serving]
}

data "terraform_remote_state" "after" {
  backend = "local"
  config  = { path = local.live_file }

  depends_on = [terraform_data.observed]
}

check "server_answers" {
  assert {
    condition     = local.after.server.answers
    error_message = "The server `${local.after.server.name}` does not answer. `leverframe infra-apply` starts it; its log is server.log in ${local.after.folders.model_repository.path}."
  }
}

check "settings_recorded" {
  assert {
    condition     = local.after.server.mark == module.serving.token
    error_message = "The server `${local.after.server.name}` was not started as declared here. `leverframe infra-apply` replaces it."
  }

  assert {
    condition = alltrue([
      for pair in [
        [var.port, local.after.server.port],
        [var.grpc_port, local.after.server.grpc_port],
        [var.metrics_port, local.after.server.metrics_port],
      ] : pair[0] == 0 || pair[0] == pair[1]
    ])
    error_message = "The server `${local.after.server.name}` listens at other ports than declared."
  }
}

check "observation_fresh" {
  assert {
    condition     = timecmp(timeadd(local.live.observed_at, "10m"), plantimestamp()) >= 0
    error_message = "What runs on this machine was observed at ${local.live.observed_at}, more than 10 minutes ago: a server that ended since then is not seen. `leverframe infra-plan` observes first; `leverframe infra observe` does only that."
  }
}
