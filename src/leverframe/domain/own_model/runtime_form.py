"""A model that code of the user's serves: a runtime of MLServer, or a function, of a package that is installed.

The code is never in a bundle: the bundle names it, and the settings of the served commit must name it, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from leverframe.domain.model.table import Table
from leverframe.domain.own_model.opened import TEXTS
from leverframe.errors import EstimatorError

TRUSTED = "runtime:"  # begins a runtime among what the settings of a commit trust; no type has a colon in its name
Datatype = Literal["BOOL", "INT64", "FP64", "BYTES"]
Input = Literal["columns", "matrix"]


@dataclass(frozen=True)
class RuntimeForm:
    """How a runtime is asked: the import ``path`` of its class, ``package.module.Class``, or ``module:function``.

    ``file`` is the name of the model, a file or a folder, in the archive of the bundle, ``datatypes`` those of the
    columns in the protocol. A class gets an input a ``columns``, or one ``matrix`` of doubles; ``output`` is which of
    its outputs has the predictions, None for the first.
    """

    path: str
    file: str
    datatypes: Mapping[str, Datatype]
    input: Input = "columns"
    output: str | None = None

    @property
    def is_function(self) -> bool:
        """Whether it is a function, which gets a table."""
        return ":" in self.path

    @property
    def module(self) -> str:
        """The module that is imported."""
        return self.path.partition(":")[0] if self.is_function else self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """What the module has it as."""
        return self.path[len(self.module) + 1 :]

    @property
    def numbers_alone(self) -> bool:
        """Whether the columns can stand in one matrix."""
        return "BYTES" not in self.datatypes.values()


def datatypes_of(table: Table, columns: Sequence[str]) -> dict[str, Datatype]:
    """Return the datatype of each column as the sample has it."""
    return {name: _datatype(str(table.get_column(name).dtype)) for name in columns}


def _datatype(dtype: str) -> Datatype:
    kind = dtype.partition("(")[0]
    if kind in TEXTS:
        return "BYTES"
    if kind == "Boolean":
        return "BOOL"
    return "INT64" if kind.startswith(("Int", "UInt")) else "FP64"


def not_importable(form: RuntimeForm, missing: str, why: str) -> EstimatorError:
    """Return the error for a runtime that cannot be imported; ``missing`` is the module that is not there, if any."""
    if not missing:
        kind = "" if form.is_function else "; a class inherits from `mlserver.MLModel`"
        return EstimatorError(
            f"the runtime `{form.path}` cannot be used",
            why=why,
            next=f"fix it until `{_import(form)}` works{kind}",
        )
    package = missing.partition(".")[0]
    ours = "such as `pip install FOLDER` for one of your own"  # nobody installs what an index has under its name
    such = f"such as `pip install {package.replace('_', '-')}`" if package.startswith("mlserver_") else ours
    return EstimatorError(
        f"the runtime `{form.path}` is not installed: there is no module `{missing}`",
        why="a server imports it from packages that are installed, and never from beside a bundle",
        next=f"install the package that has `{package}` beside Leverframe, {such}",
    )


def _import(form: RuntimeForm) -> str:
    """Return the command that imports what a runtime names as a server does, without the folder where it runs."""
    return f"python -P -c 'from {form.module} import {form.name}'"


def not_trusted(path: str, commit: str = "") -> EstimatorError:
    """Return the error for a runtime that the settings do not name."""
    return EstimatorError(
        f"the runtime `{path}` is not one that the settings{f' of {commit[:12]}' if commit else ''} let serve",
        why="a bundle is data: what a server imports is said by `serve.runtimes` in leverframe.yaml of the commit",
        next=f'add it there, `serve: {{runtimes: ["{path}"]}}`, and commit it',
    )
