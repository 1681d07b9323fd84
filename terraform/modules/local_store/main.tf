# Folders of this machine: made with their permissions and a marker, never removed while they hold anything else.

locals {
  marker = ".leverframe-folder"
  spec   = { for name, folder in var.folders : name => sha256(jsonencode([folder, var.mode])) }

  # What was observed stays; what is not there, or not so, gets the next generation and is made anew.
  token = {
    for name, folder in var.folders : name => (
      try(var.observed[name].mode == var.mode && startswith(var.observed[name].mark, "${local.spec[name]}@"), false)
      ? var.observed[name].mark
      : "${local.spec[name]}@${var.generation + 1}"
    )
  }
}

resource "terraform_data" "folder" {
  for_each = var.folders

  triggers_replace = local.token[each.key]
  input = {
    path       = each.value.path
    layout     = each.value.layout
    mode       = var.mode
    repository = var.repository
  }

  provisioner "local-exec" {
    working_dir = "${path.root}/${var.repository}"
    interpreter = ["/bin/sh", "-euc"]
    environment = {
      FOLDER = each.value.path
      LAYOUT = join(" ", each.value.layout)
      MARKER = local.marker
      MODE   = var.mode
      TOKEN  = local.token[each.key]
    }
    command = <<-EOT
      if [ -d "$FOLDER" ] && [ ! -e "$FOLDER/$MARKER" ] && [ -n "$(ls -A -- "$FOLDER")" ]; then
        # Where the folder really is: a path of the repository may lead out of it by a link.
        case "$(cd -P -- "$FOLDER" && pwd -P)" in
          "$(pwd -P)"/*) ;;
          *)
            echo "error: $FOLDER is there already, with data that are not of this environment" >&2
            echo "  why:  its permissions would change for everybody who uses it" >&2
            echo "  next: name another folder, or a new one inside of it" >&2
            exit 1
        esac
      fi
      mkdir -p -- "$FOLDER"
      chmod "$MODE" -- "$FOLDER"
      for part in $LAYOUT; do mkdir -p -- "$FOLDER/$part"; done
      printf '%s\n' "$TOKEN" "Terraform made this folder, and removes it only while it holds nothing else." > "$FOLDER/$MARKER"
    EOT
  }

  provisioner "local-exec" {
    when        = destroy
    working_dir = "${path.root}/${self.input.repository}"
    interpreter = ["/bin/sh", "-euc"]
    environment = {
      FOLDER = self.input.path
      LAYOUT = join(" ", self.input.layout)
      MARKER = ".leverframe-folder"
    }
    command = <<-EOT
      [ -d "$FOLDER" ] || exit 0
      for part in $LAYOUT; do rmdir -- "$FOLDER/$part" 2>/dev/null || true; done
      if [ "$(ls -A -- "$FOLDER")" = "$MARKER" ]; then
        rm -- "$FOLDER/$MARKER"
        # What a link leads to was there before, and so was the link.
        [ -L "$FOLDER" ] || rmdir -- "$FOLDER"
      else
        echo "$FOLDER stays: it is not empty, and its data are not Terraform's to remove"
      fi
    EOT
  }
}
