"""Values that files of a root module tell of, where no plan of Terraform does."""

from __future__ import annotations

from pathlib import Path

import pytest

from leverframe.adapters.terraform.terraform_written import without_repeated, written_values

SENSITIVE = """
variable "a" {
  type      = string
  sensitive = true
  default   = "default-\\"of\\" a"
}
variable "b" {
  default = "open-default"
}
resource "x" "y" {
  input = sensitive("constant-of-a-call")
}
"""


def test_what_files_write_down_is_known(tmp_path: Path) -> None:
    """All of files of variables; of the module what it marks."""
    (tmp_path / "main.tf").write_text(SENSITIVE)
    (tmp_path / "terraform.tfvars").write_text('b = "of-a-file"\n')
    (tmp_path / "x.auto.tfvars.json").write_text('{"c": ["caf\\u00e9-of-json"]}')
    (tmp_path / "other.tfvars").write_text('b = "not-read"\n')
    known = written_values(tmp_path)
    assert {'default-"of" a', "constant-of-a-call", "of-a-file", "café-of-json"} <= known
    assert not known & {"open-default", "not-read"}


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        ('Error in function call (main.tf:9): Call to function "timeadd" failed: not "hunter2".', "timeadd"),
        ('Invalid function argument (main.tf:9): Invalid value for "path" parameter: no file "hunter2".', "path"),
    ],
)
def test_a_function_repeats_no_argument_where_one_may_be_secret(tmp_path: Path, fault: str, shown: str) -> None:
    """Place and function stay; in a module without anything sensitive all of it does."""
    (tmp_path / "main.tf").write_text("")
    assert without_repeated(tmp_path, fault) == fault
    (tmp_path / "main.tf").write_text(SENSITIVE)
    cut = without_repeated(tmp_path, fault)
    assert "hunter2" not in cut
    assert shown in cut
    assert "main.tf:9" in cut
