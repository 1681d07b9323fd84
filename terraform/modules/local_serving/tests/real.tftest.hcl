# A real server on free ports, without a model; the end of the file destroys it.

variables {
  name     = "terraform-tests"
  ports    = { rest = 0, grpc = 0, metrics = 0 }
  observed = { answers = false, mark = "", settings = "s" }
}

run "starts_a_server" {
  assert {
    condition     = jsondecode(file("../../../.leverframe/servers/${output.name}/server.json")).mark == output.token
    error_message = "The process is recorded with what it was started as."
  }
}

run "leaves_it" {
  command = plan

  variables {
    generation = 1
    observed   = { answers = true, mark = run.starts_a_server.token, settings = "s" }
  }

  assert {
    condition     = output.token == run.starts_a_server.token
    error_message = "A server that answers and was started as declared stays."
  }
}
