# What is decided from what was observed; no server starts.

mock_provider "terraform" {}

variables {
  name     = "local"
  ports    = { rest = 0, grpc = 0, metrics = 0 }
  observed = { answers = false, mark = "", settings = "s" }
}

run "starts_the_first_generation" {
  command = plan

  assert {
    condition     = endswith(output.token, "@1") && terraform_data.server.triggers_replace == output.token
    error_message = "What was never seen is the first generation."
  }
}

run "leaves_a_server_that_answers" {
  command = plan

  variables {
    generation = 3
    observed   = { answers = true, mark = replace(run.starts_the_first_generation.token, "@1", "@3"), settings = "s" }
  }

  assert {
    condition     = output.token == var.observed.mark
    error_message = "A server that answers and was started as declared stays."
  }
}

run "replaces_one_that_does_not_answer" {
  command = plan

  variables {
    generation = 3
    observed   = { answers = false, mark = replace(run.starts_the_first_generation.token, "@1", "@3"), settings = "s" }
  }

  assert {
    condition     = output.token == replace(run.starts_the_first_generation.token, "@1", "@4")
    error_message = "A dead server is replaced by the next generation."
  }
}

run "replaces_one_that_somebody_else_started" {
  command = plan

  variables {
    generation = 3
    observed   = { answers = true, mark = "", settings = "s" }
  }

  assert {
    condition     = endswith(output.token, "@4")
    error_message = "A server that Terraform did not start is replaced."
  }
}

run "replaces_one_of_other_settings" {
  command = plan

  variables {
    generation = 3
    observed   = { answers = true, mark = replace(run.starts_the_first_generation.token, "@1", "@3"), settings = "changed" }
  }

  assert {
    condition     = endswith(output.token, "@4") && !startswith(output.token, split("@", var.observed.mark)[0])
    error_message = "Changed settings of leverframe.yaml replace the server."
  }
}

run "replaces_one_at_other_ports" {
  command = plan

  variables {
    ports      = { rest = 8180, grpc = 8181, metrics = 8182 }
    generation = 3
    observed   = { answers = true, mark = replace(run.starts_the_first_generation.token, "@1", "@3"), settings = "s" }
  }

  assert {
    condition     = endswith(output.token, "@4")
    error_message = "Changed ports replace the server."
  }
}

run "refuses_one_port_for_two" {
  command = plan

  variables {
    ports = { rest = 8180, grpc = 8180, metrics = 0 }
  }

  expect_failures = [var.ports]
}

run "refuses_a_port_that_is_none" {
  command = plan

  variables {
    ports = { rest = 65536 }
  }

  expect_failures = [var.ports]
}

run "refuses_a_name_that_is_a_command" {
  command = plan

  variables {
    name = "local; ls"
  }

  expect_failures = [var.name]
}
