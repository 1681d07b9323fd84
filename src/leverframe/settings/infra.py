"""The section `infra` of ``leverframe.yaml``: which Terraform environments there are, and what may happen to them."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from leverframe.documents import Document
from leverframe.settings.monitor import VariableName
from leverframe.settings.paths import FolderText

InfraName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")]  # a folder, and part of a URL
TerraformName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]


def _plain(value: Any) -> Any:
    """Return a value that JSON has as well; YAML makes dates of some texts, and has numbers that are none."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        _plain(part)
    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        raise ValueError(f"{next(key for key in value if not isinstance(key, str))} is no text: write it in quotes")
    if not isinstance(value, str | int | float | list | dict | None) or (
        isinstance(value, float) and not isfinite(value)
    ):
        raise ValueError(f"{value} is neither a text, a number nor a boolean: write it in quotes")
    return value


PlainValue = Annotated[Any, AfterValidator(_plain)]


class InfraEnvironmentSettings(Document):
    """One environment: a root module with a state of its own."""

    root: FolderText | None = Field(
        default=None, description="folder of the root module; by default terraform/environments/NAME"
    )
    workspace: str = Field(
        default="default", pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$", description="workspace of Terraform"
    )
    variables: dict[TerraformName, PlainValue] = Field(
        default_factory=dict, description="values of variables that anybody may read"
    )
    secrets: dict[TerraformName, VariableName] = Field(
        default_factory=dict, description="variables whose values are secret, each with the environment variable of it"
    )
    backend: dict[TerraformName, PlainValue] = Field(
        default_factory=dict,
        description="settings of the backend that the root module leaves open, as Terraform has them; no secret",
    )
    protected: list[str] = Field(
        default_factory=list,
        description="addresses, `*` for any text, that are destroyed or replaced only with the label `allow_label`",
    )
    allow_label: str = Field(
        default="infra-destroy", description="label of a pull request that may destroy protected resources"
    )
    failed_checks: Literal["refuse", "show"] = Field(
        default="refuse", description="whether a failed `check` block of the plan refuses it"
    )
    observe: Literal["local"] | None = Field(
        default=None,
        description="`local` writes what runs on this machine for the plan to read; null where providers tell",
    )
    lock_timeout_seconds: Annotated[int, Field(ge=0, le=7200)] = Field(
        default=60, description="how long to wait for the lock of the state"
    )
    timeout_minutes: Annotated[int, Field(ge=1, le=720)] = Field(
        default=60, description="how long one command of Terraform may take"
    )

    @model_validator(mode="after")
    def _one_home_for_a_variable(self) -> InfraEnvironmentSettings:
        twice = sorted(self.variables.keys() & self.secrets.keys())
        if twice:
            raise ValueError(f"`{twice[0]}` is in `variables` and in `secrets`: a secret belongs into `secrets` alone")
        return self

    def root_of(self, name: str) -> str:
        """Return the folder of the root module, relative to the settings file; ``name`` is that of the environment."""
        return self.root or f"terraform/environments/{name}"

    def state_of(self, name: str) -> str:
        """Return what tells its state from those of other environments."""
        return repr((self.root_of(name), self.workspace, sorted(self.backend.items())))


class InfraSettings(Document):
    """Infrastructure as code, in the same pull request as the model."""

    tool: str = Field(
        default="auto",
        pattern=r"^[A-Za-z0-9_./+ -]+$",
        description="`terraform`, `tofu` or the path of one; `auto` takes the first of the two on PATH",
    )
    environments: dict[InfraName, InfraEnvironmentSettings] = Field(
        default_factory=dict, description="environments by name"
    )
    drift_label: str = Field(default="infra-drift", description="label of the issue that a drifted environment has")

    @model_validator(mode="after")
    def _one_environment_a_state(self) -> InfraSettings:
        states = dict[str, str]()
        for name, environment in self.environments.items():
            state = environment.state_of(name)
            if state in states:
                raise ValueError(
                    f"`{states[state]}` and `{name}` have one state, and would undo each other: both have the root "
                    f"module `{environment.root_of(name)}`, so give one another `workspace` or `backend`"
                )
            states[state] = name
        return self
