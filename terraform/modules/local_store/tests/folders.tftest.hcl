# Real folders below the repository; the end of each file destroys what it made.

variables {
  folders = {
    remote = { path = ".leverframe/terraform-tests/remote" }
    models = { path = ".leverframe/terraform-tests/models", layout = ["models"] }
  }
}

run "makes_folders" {
  assert {
    condition     = output.folders == { remote = ".leverframe/terraform-tests/remote", models = ".leverframe/terraform-tests/models" }
    error_message = "The outputs are the paths as declared, relative to the repository."
  }

  assert {
    condition     = fileexists("../../../${output.folders.remote}/.leverframe-folder")
    error_message = "A folder that Terraform made has its marker."
  }

  assert {
    condition     = startswith(file("../../../${output.folders.models}/.leverframe-folder"), output.tokens.models)
    error_message = "The marker begins with what the folder was made as."
  }

  assert {
    condition     = alltrue([for token in values(output.tokens) : endswith(token, "@1")])
    error_message = "What was never seen is the first generation."
  }
}

run "leaves_what_it_observes" {
  command = plan

  variables {
    generation = 1
    observed   = { for name, token in run.makes_folders.tokens : name => { mode = "0700", mark = token } }
  }

  assert {
    condition     = output.tokens == run.makes_folders.tokens
    error_message = "Folders that are there as declared stay."
  }
}

run "makes_a_missing_one_anew" {
  command = plan

  variables {
    generation = 1
    observed   = { models = { mode = "0700", mark = run.makes_folders.tokens.models } }
  }

  assert {
    condition     = output.tokens.models == run.makes_folders.tokens.models && output.tokens.remote == replace(run.makes_folders.tokens.remote, "@1", "@2")
    error_message = "Only the folder that is gone gets the next generation."
  }
}

run "sets_lost_permissions_again" {
  command = plan

  variables {
    generation = 1
    observed   = { for name, token in run.makes_folders.tokens : name => { mode = "0777", mark = token } }
  }

  assert {
    condition     = alltrue([for token in values(output.tokens) : endswith(token, "@2")])
    error_message = "A folder that others may write gets its permissions back."
  }
}

run "refuses_a_path_out_of_the_repository" {
  command = plan

  variables {
    folders = { remote = { path = "../storage" } }
  }

  expect_failures = [var.folders]
}

run "refuses_the_repository_itself" {
  command = plan

  variables {
    folders = { remote = { path = "./." } }
  }

  expect_failures = [var.folders]
}

run "refuses_a_home_that_nobody_resolves" {
  command = plan

  variables {
    folders = { remote = { path = "~/storage" } }
  }

  expect_failures = [var.folders]
}

run "refuses_the_root_of_the_machine" {
  command = plan

  variables {
    folders = { remote = { path = "/" } }
  }

  expect_failures = [var.folders]
}

run "refuses_a_slash_at_the_end" {
  command = plan

  variables {
    folders = { remote = { path = "storage/" } }
  }

  expect_failures = [var.folders]
}

run "takes_short_and_long_names" {
  command = plan

  variables {
    folders = { short = { path = "s" }, spaced = { path = "my storage/a.b" }, outside = { path = "/srv/dvc" } }
  }

  assert {
    condition     = length(output.tokens) == 3
    error_message = "A name of one letter, one with a space, and an absolute one are names of folders."
  }
}

run "refuses_a_layout_that_is_a_command" {
  command = plan

  variables {
    folders = { remote = { path = "storage", layout = ["a; rm b"] } }
  }

  expect_failures = [var.folders]
}

run "refuses_permissions_for_others_to_write" {
  command = plan

  variables {
    mode = "0777"
  }

  expect_failures = [var.mode]
}
