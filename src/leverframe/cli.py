"""The command line: finds ``commands/`` by file name and turns errors into exit codes."""

from __future__ import annotations

import errno
import importlib
import io
import os
import pkgutil
import shlex
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import click

from leverframe import __version__, commands, output
from leverframe.errors import DiskError, LeverframeError, RepositoryError, SettingsError, nearest
from leverframe.package import missing_package


class LazyGroup(click.Group):
    """A click group whose subcommands are imported only when they are used.

    A command file carries its one-line help in its module docstring's first line, which is
    read without importing it, so that ``--help`` stays fast however heavy a command is.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click hands it over
        """Return the names of the files in ``commands/``, underscores as dashes."""
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the file of one command and return the command of the same name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        word = cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"leverframe.commands.{word}"), word)
        assert isinstance(command, click.Command)  # noqa: S101 - the floor-plan test holds it
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as click does, and suggest the nearest name for a misspelt command."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self.list_commands(ctx):
            ctx.fail(f"no such command `{name}`: {nearest(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the first line of each file's docstring."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_line(name)) for name in self.list_commands(ctx)])


def _first_line(command: str) -> str:
    file = Path(commands.__path__[0], command.replace("-", "_") + ".py")
    return file.read_text(encoding="utf-8").split("\n", 1)[0].strip('"').rstrip(".")


@click.group(cls=LazyGroup, context_settings={"auto_envvar_prefix": "LEVERFRAME", "max_content_width": 100})
@click.version_option(__version__, prog_name="leverframe")
@click.option("--verbose", is_flag=True, help="Log more to stderr, and print the traceback of a bug.")
@click.option(
    "-C",
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    allow_from_autoenv=False,
    help="Run in the project of this folder, as if it were the current one; other paths start from there.",
)  # stages and hooks inherit an environment, and would go one folder deeper
def leverframe(verbose: bool, folder: Path | None) -> None:
    """GitOps for machine learning: the pull request is the control panel of the model.

    Example: leverframe status
    """
    output.configure_logging(verbose=verbose)
    if folder is not None:
        _go_to(folder)


def _go_to(folder: Path) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise RepositoryError(
            f"there is no way into the folder {folder}",
            why=error.strerror or str(error),
            next="name the folder of a project, from the current one; `git ls-files '*leverframe.yaml'` lists them",
        ) from error


def main() -> None:
    """Run the command line and exit with the code of the result."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for plugins takes a tenth of a quick command
    try:
        code = leverframe.main(standalone_mode=False)
    except LeverframeError as error:
        output.failure(_placed(error))
        code = error.exit_code
    except click.ClickException as error:
        usage = io.StringIO()
        error.show(usage)
        output.progress(usage.getvalue().rstrip("\n"))
        code = error.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        output.progress("interrupted")
        code = 130
    except BrokenPipeError:
        code = 0  # the reader of our output left, as `head` does
    except Exception as error:
        code = _refused_write(error) or _missing_package(error) or _bug(error)
    sys.exit(code if isinstance(code, int) else 0)


def _placed(error: LeverframeError) -> LeverframeError:
    """Name the projects of the repository in an error that comes of being in none of them."""
    if isinstance(error, RepositoryError | SettingsError):
        from leverframe.wiring import projects_elsewhere  # noqa: PLC0415 - only who failed needs it

        with suppress(LeverframeError, OSError):
            if folders := projects_elsewhere():
                others = f" (also in {', '.join(folders[1:4])})" if folders[1:] else ""
                error.next = f"`leverframe -C {shlex.quote(folders[0])} ...` runs in the project there{others}"
    return error


def _refused_write(error: Exception) -> int:
    """Report a full disk outside our own writes, such as in `/tmp`; return 0 for other errors."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
    nowhere = "No usable temporary directory" in str(error)  # all that Python says of a full disk there
    if not isinstance(error, OSError) or not (nowhere or error.errno in full):
        return 0
    refused = DiskError(
        "the operating system refused a write",
        why=f"{error.strerror or error}; earlier outputs are untouched",
        next="free disk space, also in the folder of temporary files, then run the same command again",
    )
    output.failure(refused)
    return refused.exit_code


def _missing_package(error: Exception) -> int:
    """Report a package that is missing or cannot be loaded; return 0 for other errors."""
    missing = missing_package(error)
    if missing is None:
        return 0
    output.failure(missing)
    return missing.exit_code


def _bug(error: Exception) -> int:
    """Report an unexpected error with what an issue needs, and return its exit code."""
    if "--verbose" in sys.argv:
        output.progress("".join(traceback.format_exception(error)))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    output.progress(
        f"error: a bug in leverframe {__version__}\n"
        f"  why:  {type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})\n"
        "  next: run it again with `leverframe --verbose ...`, and report the traceback"
    )
    return 1
