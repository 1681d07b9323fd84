terraform {
  required_version = ">= 1.10, < 2"

  # The state of the workspace `NAME` is .leverframe/infra/NAME/terraform.tfstate of the repository.
  backend "local" {
    path          = "../../../.leverframe/infra/local/terraform.tfstate"
    workspace_dir = "../../../.leverframe/infra"
  }
}
