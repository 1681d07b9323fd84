"""Terraform and OpenTofu: python-terraform with its one funnel replaced, since what lies behind it is unsafe.

The library knows how a command is written. How it runs is ours: a scrubbed environment, a list of commands that may
run, lines without secrets while they come, an end that releases the lock of the state, and errors that say what to do.
"""

from __future__ import annotations

from leverframe.adapters.terraform.terraform_tool import TerraformTool

__all__ = ["TerraformTool"]
