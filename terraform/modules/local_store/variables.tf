variable "folders" {
  description = "Folders by name: path relative to the repository (or absolute), and the folders that belong inside."
  type = map(object({
    path   = string
    layout = optional(list(string), [])
  }))

  validation {
    condition     = alltrue([for folder in values(var.folders) : can(regex("^(/?[^/\\s]|\\S.*[^/\\s])$", folder.path)) && !can(regex("(^|/)[.]{0,2}(/|$)", trimprefix(folder.path, "/"))) && !startswith(folder.path, "~")])
    error_message = "A path names a folder, such as .leverframe/storage: no `.` or `..` in it, no `~` before it, no space around it, no slash at its end."
  }

  validation {
    condition     = alltrue(flatten([for folder in values(var.folders) : [for part in folder.layout : can(regex("^[A-Za-z0-9_-]+$", part))]]))
    error_message = "A folder of the layout is one word of letters, digits, `_` and `-`."
  }
}

variable "mode" {
  description = "Permissions of the folders, in octal; nobody but the owner may write."
  type        = string
  default     = "0700"

  validation {
    condition     = can(regex("^07[0145][0145]$", var.mode))
    error_message = "Permissions are written in octal, such as 0700 or 0750; only the owner may write."
  }
}

variable "observed" {
  description = "The folders as `leverframe infra observe` found them, by name: permissions (empty: no folder) and the text of the marker."
  type        = map(object({ mode = string, mark = string }))
  default     = {}
}

variable "generation" {
  description = "The highest generation that anything observed carries."
  type        = number
  default     = 0
}

variable "repository" {
  description = "Path from the root module to the repository."
  type        = string
  default     = "../../.."
}
