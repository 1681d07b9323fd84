mock_provider "kubernetes" {}

variables {
  namespace                   = "models"
  name                        = "rides"
  deployers                   = ["leverframe-deployers"]
  service_account_annotations = { "eks.amazonaws.com/role-arn" = "arn:aws:iam::111122223333:role/rides" }
}

run "refuses_a_namespace_of_kubernetes" {
  command = plan

  variables {
    namespace = "kube-system"
  }

  expect_failures = [var.namespace]
}

run "refuses_everybody" {
  command = plan

  variables {
    deployers = ["system:authenticated"]
  }

  expect_failures = [var.deployers]
}

run "refuses_a_quota_that_blocks_rollouts" {
  command = plan

  variables {
    maximum_pods = 2
  }

  expect_failures = [var.maximum_pods]
}
