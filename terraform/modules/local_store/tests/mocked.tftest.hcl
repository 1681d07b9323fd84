# Plans alone: nothing is made on this machine.

mock_provider "terraform" {}

run "a_change_of_permissions_is_a_change_of_the_folder" {
  command = plan

  variables {
    folders    = { remote = { path = "storage" } }
    mode       = "0750"
    generation = 4
    observed   = { remote = { mode = "0700", mark = "${sha256("other")}@4" } }
  }

  assert {
    condition     = terraform_data.folder["remote"].triggers_replace == "${sha256(jsonencode([{ layout = [], path = "storage" }, "0750"]))}@5"
    error_message = "The token has the digest of path, layout and permissions, and the next generation."
  }
}
