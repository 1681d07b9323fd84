"""The package that runs: whether it is part of a repository or installed, its extras, and its templates."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from leverframe.errors import InstallationError
from leverframe.words import first_line

_INSTALLED = {"site-packages", "dist-packages"}
_ON_PATH = tuple(sys.path[1:])  # before any module of a case was looked for; the first is that of the program
_REQUIREMENT = re.compile(r"""^([A-Za-z0-9._-]+)(?:.*;.*extra\s*==\s*['"]([a-z0-9]+)['"])?""")
# Names under which packages are imported, where they are not those that they are installed by.
_MODULES = {"pygithub": "github", "alibi-detect": "alibi_detect", "ml-dtypes": "ml_dtypes",
            "python-terraform": "python_terraform", "protobuf": "google.protobuf", "pyyaml": "yaml",
             "scikit-learn": "sklearn", "markdown-it-py": "markdown_it", "xgboost-cpu": "xgboost"}  # fmt: skip

# Modules that we import of packages that those of an extra bring, by extra.
_BROUGHT = {"": ("threadpoolctl",), "github": ("requests", "urllib3"), "spark": ("py4j",),
            "serving": ("fastapi", "grpc", "h11", "prometheus_client", "starlette", "uvicorn")}  # fmt: skip


def template(name: str) -> str:
    """Return the text of a file of ``templates/``."""
    from importlib.resources import files  # noqa: PLC0415 - brings zipfile, which most commands never need

    return files("leverframe").joinpath("templates", name).read_text(encoding="utf-8")


def built_from() -> str:
    """Return the commit that an installed wheel was built from; empty where it does not say so."""
    file = Path(__file__).parent / "commit.txt"
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def local_environment() -> dict[str, str]:
    """Return the files of the local environment of Terraform, by their paths in a repository, without their tests."""
    here = Path(__file__).parent
    packed = here / "templates/terraform"  # in a wheel; beside src in the repository of Leverframe
    base = packed if packed.is_dir() else here.parents[1] / "terraform"
    parts = ("environments/local", "modules/local_serving", "modules/local_store")
    files = sorted(file for part in parts for kind in ("*.tf", "*.md") for file in (base / part).glob(kind))
    return {f"terraform/{file.relative_to(base).as_posix()}": file.read_text(encoding="utf-8") for file in files}


def source_folder(repository: Path) -> Path | None:
    """Return the folder, relative to ``repository``, that Leverframe is imported from where it is part of it.

    None where it is installed, be it in an environment inside the repository: then its version counts.
    """
    return _part_of(repository, Path(__file__).parents[1], repository)


def code_folders(repository: Path, top: Path) -> list[Path]:
    """Return the folders below ``top`` that Python imports from here, relative to ``repository``, which is in it.

    Another checkout imports from its own instead: first that of Leverframe, where it is one of them.
    """
    places = (Path(entry) for entry in _ON_PATH if entry and Path(entry).is_dir())
    here = (_part_of(repository, place, top) for place in places)
    return list(dict.fromkeys(folder for folder in (source_folder(repository), *here) if folder is not None))


def home_of(module: str, repository: Path, top: Path | None = None) -> Path | None:
    """Return the folder, relative to ``repository``, in which Python finds a package or module that is below ``top``.

    That is ``repository`` itself where none is given. None for all others; nothing is imported. The name has no dots.
    """
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    places = [] if spec is None else [*(spec.submodule_search_locations or []), *([spec.origin] if spec.origin else [])]
    homes = (_part_of(repository, Path(place).parent, top or repository) for place in places if Path(place).exists())
    return next((home for home in homes if home is not None), None)


def _part_of(repository: Path, folder: Path, top: Path) -> Path | None:
    """Return a folder relative to ``repository``; None where it is outside ``top``, or in an environment within."""
    root, place = top.resolve(), folder.resolve()
    environment = Path(sys.prefix).resolve()
    inside = _INSTALLED & set(place.parts) or (environment.is_relative_to(root) and place.is_relative_to(environment))
    return Path(os.path.relpath(place, repository.resolve())) if place.is_relative_to(root) and not inside else None


def origin() -> Mapping[str, object] | None:
    """Return what the installer recorded of where Leverframe came from (PEP 610); None where that was an index."""
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415 - as below

    try:
        text = distribution("leverframe").read_text("direct_url.json")
    except PackageNotFoundError:  # run from its sources without being installed
        return {"dir_info": {}}
    return json.loads(text) if text else None


def installed_versions() -> dict[str, str]:
    """Return the version of each package of this environment that came from an index, and of Leverframe."""
    from importlib.metadata import distributions  # noqa: PLC0415 - as below

    return {
        name: distribution.version
        for distribution in distributions()
        if (name := distribution.metadata["Name"])
        and (name == "leverframe" or not distribution.read_text("direct_url.json"))
    }


def installed_extras(among: Iterable[str]) -> set[str]:
    """Return the extras whose every package is here."""
    packages = {extra: _packages(extra) for extra in among}
    return {extra for extra, names in packages.items() if names and all(map(_importable, names))}


def supported_python() -> str:
    """Return the versions of Python that Leverframe runs on, such as ``<3.13,>=3.11``; empty where nobody says."""
    from importlib.metadata import PackageNotFoundError, metadata  # noqa: PLC0415 - as below

    try:
        return str(metadata("leverframe")["Requires-Python"] or "")
    except PackageNotFoundError:
        return ""


def check_extras(extras: Iterable[str], what: str = "this pipeline", otherwise: str = "") -> None:
    """Raise ``InstallationError`` for what the extras lack that ``what`` needs; nothing of it is imported.

    ``otherwise`` is what to do without them.
    """
    wanted = sorted(set(extras))
    missing = {extra: [name for name in _packages(extra) if not _importable(name)] for extra in wanted}
    lacking = {extra: names for extra, names in missing.items() if names}
    if lacking:
        raise InstallationError(
            f"{what} needs {', '.join(sorted({name for names in lacking.values() for name in names}))}",
            why=f"not installed with Leverframe: {'the extras' if len(lacking) > 1 else 'the extra'} "
            f"{', '.join(f'`{extra}`' for extra in lacking)}",
            next=f"`{installing('leverframe', wanted)}`, then run the same command again{otherwise}",
        )


def missing_package(error: Exception, otherwise: str = "") -> InstallationError | None:
    """Return the error for a package that is missing or cannot be loaded; None for other errors, and for our own code.

    ``otherwise`` is what to do without the package.
    """
    name = (error.name or "") if isinstance(error, ImportError) else ""
    if not name or name.partition(".")[0] == "leverframe":
        return None
    extra = extra_of(name)
    if extra is None:
        comes, install = "another package brings it", name.partition(".")[0]
    else:
        comes = f"it comes with the extra `{extra}`" if extra else "it comes with Leverframe itself"
        install = "leverframe"
    gone = isinstance(error, ModuleNotFoundError)
    command = installing(install, [extra] if extra else [], again=not gone)
    broken = "" if gone else f"; {first_line(error)}"[:200]
    return InstallationError(
        f"the Python package `{name}` {'is not installed' if gone else 'cannot be imported'}",
        why=f"this command needs it, and {comes}{broken}",
        next=f"`{command}`, then run the same command again{otherwise}",
    )


def installing(package: str, extras: Sequence[str] = (), *, again: bool = False) -> str:
    """Return the command that installs a package with extras; Leverframe from the wheel that it came from.

    It is that of the environment that runs, whichever one is active, and of `uv` where that has no `pip`.
    """
    name = f"{package}[{','.join(extras)}]" if extras else package
    address = _wheel() if package == "leverframe" else ""
    wanted = shlex.quote(f"{name} @ {address}" if address else name)
    options = "--force-reinstall " if again else ""
    active = os.path.realpath(os.environ.get("VIRTUAL_ENV", "")) == os.path.realpath(sys.prefix)
    python = shlex.quote(sys.executable)
    if find_spec("pip") is not None:
        return f"{'' if active else f'{python} -m '}pip install {options}{wanted}"
    return f"uv pip install {options}{wanted}{'' if active else f' --python {python}'}"


def _wheel() -> str:
    """Return the address of the wheel that Leverframe was installed from; empty for an index, a folder or a secret."""
    direct = origin() or {}
    parts = urlsplit(str(direct.get("url", "")))
    return parts.geturl() if "archive_info" in direct and not (parts.username or parts.query) else ""


def extra_of(module: str) -> str | None:
    """Return the extra that brings a module, empty for the plain installation; None where neither does."""
    top = module.partition(".")[0]
    brought = next((extra for extra, modules in _BROUGHT.items() if top in modules), None)
    return next((extra for name, extra in _requirements() if _module(name).partition(".")[0] == top), brought)


def _module(package: str) -> str:
    """Return the name under which the modules of a package are imported."""
    return _MODULES.get(package, package.replace("-", "_"))


def _packages(extra: str) -> list[str]:
    return [name for name, of in _requirements() if of == extra]


def _requirements() -> list[tuple[str, str]]:
    """Return each package that is required in small letters, with the extra, which is empty for what always is."""
    from importlib.metadata import PackageNotFoundError, requires  # noqa: PLC0415 - brings email, socket and more

    try:
        lines = requires("leverframe") or []
    except PackageNotFoundError:  # run from its sources without being installed
        return []
    return [(match[1].lower(), match[2] or "") for match in map(_REQUIREMENT.match, lines) if match]


def _importable(name: str) -> bool:
    try:
        return find_spec(_module(name)) is not None
    except ModuleNotFoundError:  # the parent package is not there
        return False
