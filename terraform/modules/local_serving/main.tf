# A model server of this machine. Terraform owns that it runs and how it listens; `leverframe deploy` owns which model.

locals {
  spec = sha256(jsonencode([var.name, var.ports, var.observed.settings]))

  # A server that answers and was started as declared stays; otherwise the next generation takes its place.
  token = (
    var.observed.answers && startswith(var.observed.mark, "${local.spec}@")
    ? var.observed.mark
    : "${local.spec}@${var.generation + 1}"
  )
}

# Stops the server when the environment ends. It stands apart from `server`: of a resource whose start failed,
# Terraform runs no provisioner at its end, and what had been started until then would be left behind.
resource "terraform_data" "ending" {
  triggers_replace = [var.name, var.repository]
  input            = { name = var.name, repository = var.repository }

  provisioner "local-exec" {
    when        = destroy
    working_dir = "${path.root}/${self.input.repository}"
    command     = "leverframe serve --stop --name ${self.input.name}"
  }
}

# `--mark` stops a server that was started as something else, so a replacement needs no step of its own for that.
resource "terraform_data" "server" {
  triggers_replace = local.token
  input            = { name = var.name, ports = var.ports }

  provisioner "local-exec" {
    working_dir = "${path.root}/${var.repository}"
    command     = "leverframe serve --bare --name ${var.name} --port ${var.ports.rest} --grpc-port ${var.ports.grpc} --metrics-port ${var.ports.metrics} --mark ${local.token}"
  }

  depends_on = [terraform_data.ending]
}
