"""Write `actions/*/action.yml` and their READMEs from the options of the commands.

`python -m actions.generate --write` writes them, `--check` (in `make check`) fails where one differs.
An action has no logic: it maps its inputs to environment variables, and runs the command of its name.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from actions.permissions import PERMISSIONS, TOKEN_GIVEN, TOKENS
from actions.workflows import template, workflow
from leverframe.cli import leverframe

HERE = Path(__file__).parent
_LOCK = HERE.parent / "requirements.lock"
LEVERS = ("check", "reproduce", "gate", "report", "judge", "deploy", "monitor", "retrain", "materialize", "infra-plan",
          "infra-apply")  # fmt: skip
WITHOUT_VERDICT = ("materialize",)  # it does its work or fails
OUTPUTS = {
    "verdict": "`passed`, `failed` or `skipped`",
    "reason": "reasons of a failed verdict, separated by spaces; a closed list, see docs/guides/gate.md",
    "report": "file with the result, or the URL of the comment",
}
MORE_OUTPUTS = {
    "reproduce": {
        "phases": "with `phase`: the later phases on other machines that have something to run, as a list in JSON"
    },
    "report": {"pulls": "with `pending`: the pull requests to be judged, as JSON for a matrix of jobs"},
    "infra-plan": {"changes": "`false` where nothing would change, else `true`"},
    "infra-apply": {"changes": "`true` where something was changed, else `false`"},
}
ARGUMENTS = {"judge": "Commit to judge; it has to be fetched, and is never checked out."}
_NOT_INPUTS = ("json", "help")
FOLDER = "Folder of the project, from the top of the repository."


@dataclass(frozen=True)
class Input:
    """One input: its name, the environment variable that the command reads, and its description."""

    name: str
    variable: str
    description: str
    default: str = ""


def inputs(lever: str) -> list[Input]:
    """Return the inputs of an action: the options of its command in order, except those for a terminal."""
    command = leverframe.get_command(click.Context(leverframe), lever)
    assert command is not None  # noqa: S101 - the floor-plan test holds the set
    inputs = [Input("folder", "", FOLDER, ".")]
    for option in command.params:
        if isinstance(option, click.Argument) and isinstance(option.envvar, str) and option.name:
            inputs.append(Input(option.name, option.envvar, ARGUMENTS[lever]))
        name = max(option.opts, key=len).lstrip("-")
        if isinstance(option, click.Option) and name not in _NOT_INPUTS and option.name:
            given = option.default if isinstance(option.default, str | int | float | Path) else ""
            default = ("true" if given else "false") if option.is_flag else str(given or "")
            variable = f"LEVERFRAME_{lever}_{option.name}".upper().replace("-", "_")
            inputs.append(Input(name.replace("-", "_"), variable, (option.help or "").strip(), default))
    return inputs


def action_yml(lever: str) -> str:
    """Return `action.yml` of a lever."""
    command = leverframe.get_command(click.Context(leverframe), lever)
    purpose = (command.help or "").split("\n\n")[0].replace("\n", " ") if command else ""
    lines = [
        f"# Written by `python -m actions.generate --write` from the options of `leverframe {lever}`.",
        f"name: leverframe {lever}",
        f"description: {_quoted(purpose)}",
        "inputs:",
    ]
    for entry in inputs(lever):
        lines += _described(entry)
    if lever in TOKENS:
        lines += ["  token:", f"    description: {_quoted(TOKENS[lever])}"]
        given = TOKEN_GIVEN.get(lever)
        lines += ["    required: false", f"    default: {'${{ github.token }}' if given is None else _quoted(given)}"]
    outputs = _outputs(lever)
    lines += ["outputs:"] if outputs else []
    for name, description in outputs.items():
        lines += [f"  {name}:", f"    description: {_quoted(description)}"]
        lines += [f"    value: ${{{{ steps.lever.outputs.{name} }}}}"]
    lines += ["runs:", "  using: composite", "  steps:", "    - id: lever", "      shell: bash"]
    lines += ["      working-directory: ${{ inputs.folder }}", "      env:"]
    lines += [f"        {field.variable}: ${{{{ inputs.{field.name} }}}}" for field in inputs(lever) if field.variable]
    lines += ["        GITHUB_TOKEN: ${{ inputs.token }}"] if lever in TOKENS else []
    lines += [f"      run: exec leverframe {lever}", ""]
    return "\n".join(lines)


def _outputs(name: str) -> dict[str, str]:
    return {} if name not in LEVERS or name in WITHOUT_VERDICT else OUTPUTS | MORE_OUTPUTS.get(name, {})


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def readme(name: str, described: list[Input]) -> str:
    """Return the README of an action: purpose, inputs, outputs, permissions with their reasons, one workflow."""
    purpose = _purpose(name)
    lines = [f"# `{name}`", "", purpose, "", "## Inputs", ""]
    if described:
        lines += ["| input | default | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{i.name}` | {f'`{i.default}`' if i.default else ''} | {_cell(i.description)} |" for i in described
        ]
    if _outputs(name):
        lines += ["", "## Outputs", "", "| output | meaning |", "| --- | --- |"]
        lines += [f"| `{output}` | {meaning} |" for output, meaning in _outputs(name).items()]
    lines += ["", "## Permissions of the job", "", "| permission | why |", "| --- | --- |"]
    lines += [f"| `{permission.name}: {permission.level}` | {permission.reason} |" for permission in PERMISSIONS[name]]
    before = LEVERS[: LEVERS.index(name)] if name in LEVERS else ()
    lines += ["", "## A whole workflow", "", "```yaml", *workflow(name, before).splitlines(), "```", ""]
    if name in LEVERS:
        lines += [f"Run the same on your machine: `leverframe {name} --help`.", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _purpose(name: str) -> str:
    if name == "setup":
        return (
            "Installs Python packages from a lock file with hashes, restores the DVC cache (and, if asked, saves it on "
            "the default branch), and optionally installs CML and Terraform."
        )
    command = leverframe.get_command(click.Context(leverframe), name)
    paragraphs = (command.help or "").split("\n\n") if command else []
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


SETUP_INPUTS = [
    Input("python", "", "Version of Python.", "3.11"),
    Input("folder", "", FOLDER, "."),
    Input(
        "requirements",
        "",
        "Lock file with hashes, in that folder; if it does not exist, nothing is installed from it.",
        "requirements.lock",
    ),
    Input("project", "", "Folder of a package to install as well, from that folder, such as `.` or `../../libs`.", ""),
    Input(
        "cache",
        "",
        "`read` restores the DVC cache; `write` also saves it, for a job of the default branch that ran the pipeline.",
        "read",
    ),
    Input("cml", "", "Install CML, which then posts the card.", "false"),
    Input("terraform", "", "Install Terraform: `true` for the newest version, or one such as `1.11.4`.", "false"),
]


def _uv_version() -> str:
    """Return the version of uv that this repository locks: the newest one of a day may resolve or build otherwise."""
    lock = _LOCK.read_text(encoding="utf-8")
    return lock.partition("\nuv==")[2].split(maxsplit=1)[0]


def setup_yml() -> str:
    """Return `action.yml` of the set-up, which is no lever: third parties in it are pinned by commit."""
    described = "\n".join(line for field in SETUP_INPUTS for line in _described(field))
    return template("setup", purpose=_quoted(_purpose("setup")), inputs=described, uv=_uv_version())


def _described(field: Input) -> list[str]:
    return [
        f"  {field.name}:", f"    description: {_quoted(field.description)}",
        "    required: false", f"    default: {_quoted(field.default)}",
    ]  # fmt: skip


def index() -> str:
    """Return the page that lists the actions."""
    lines = [
        "# Actions",
        "",
        "Each action runs the command of its name: `leverframe <name>` does the same on your machine.",
        "`python -m actions.generate --write` writes these files from the options of the commands.",
        "",
        "| action | what it does |",
        "| --- | --- |",
    ]
    purposes = {name: _cell(_purpose(name).splitlines()[0]) for name in (*LEVERS, "setup")}
    rows = [f"| [`{name}`]({name}/README.md) | {purpose} |" for name, purpose in purposes.items()]
    return "\n".join([*lines, *rows, ""])


def files() -> dict[Path, str]:
    """Return every written file with its content."""
    texts = {HERE / "README.md": index()}
    for lever in LEVERS:
        given = TOKEN_GIVEN.get(lever, "${{ github.token }}")
        extra = (
            [Input("token", "", f"{TOKENS[lever][0].upper()}{TOKENS[lever][1:]}.", given)] if lever in TOKENS else []
        )
        described = inputs(lever) + extra
        texts[HERE / lever / "action.yml"] = action_yml(lever)
        texts[HERE / lever / "README.md"] = readme(lever, described)
    texts[HERE / "setup" / "action.yml"] = setup_yml()
    texts[HERE / "setup" / "README.md"] = readme("setup", SETUP_INPUTS)
    return texts


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    wrong = [path for path, text in files().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if arguments == ["--write"]:
        for path in wrong:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files()[path], encoding="utf-8")
        return 0
    for path in wrong:
        sys.stderr.write(f"{path.relative_to(HERE.parent)} is not what the options ask for\n")
    if wrong:
        sys.stderr.write("next: `python -m actions.generate --write`\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
