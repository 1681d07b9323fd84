# What the environment makes of an observation; nothing is made, and no server starts.

mock_provider "terraform" {
  mock_data "terraform_remote_state" {
    defaults = {
      outputs = {
        observed_at = "2026-01-01T00:00:00Z"
        generation  = 2
        server = {
          name = "local", alive = true, answers = true, mark = "", settings = "s", url = "http://127.0.0.1:8080",
          port = 8080, grpc_port = 8081, metrics_port = 8082
        }
        folders = {
          dvc_remote       = { path = ".leverframe/storage", mode = "", mark = "" }
          model_repository = { path = ".leverframe/servers/local", mode = "", mark = "" }
        }
      }
    }
  }
}

run "an_old_observation_fails_its_check" {
  command = plan

  # Those of the server are known only after an apply, which a test without a server does not get to.
  expect_failures = [check.observation_fresh, check.server_answers, check.settings_recorded]
}

run "a_folder_that_nobody_looked_at_is_refused" {
  command = plan

  variables {
    dvc_remote = "storage"
  }

  expect_failures = [data.terraform_remote_state.live]
}

run "a_server_that_nobody_looked_at_is_refused" {
  command = plan

  variables {
    server = "production"
  }

  expect_failures = [data.terraform_remote_state.live]
}
