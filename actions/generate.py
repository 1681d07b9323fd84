"""Write `actions/*/action.yml` and their READMEs from the options of the commands.

`python -m actions.generate --write` writes them, `--check` (in `make check`) fails where one differs.
An action has no logic: it maps its inputs to environment variables, and runs the command of its name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

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
TOKENS = {
    "reproduce": "token that may open the issue that `issue` asks for, with the permissions `issues: write` and "
    "`actions: read`; give one only where the code of the default branch runs",
    "report": "token that may comment and add check runs; the built-in token is enough",
    "deploy": "token that may push tags, add deployments and open a revert pull request; without one the action "
    "writes only local tags",
    "monitor": "token that may open issues and write the branch with the results; without one alerts and results "
    "stay in a folder, which a runner of GitHub's does not keep",
    "retrain": "token that may push the branch of a candidate and open its pull request; that of an App starts the "
    "checks by itself, the built-in one dispatches them; without one the candidate stays in this clone",
    "infra-plan": "token that may read the labels of the pull request; without one the "
    "labels are those of when the run began",
    "infra-apply": "token that may read the plans that were reviewed, add deployments and comment; without one only a "
    "digest says what was reviewed",
}
_TOKEN_GIVEN = {"reproduce": ""}  # the code of a pull request runs there, which gets none; others have the built-in one
ARGUMENTS = {"judge": "Commit to judge; it has to be fetched, and is never checked out."}
_NOT_INPUTS = ("json", "help")
_PINS = {
    "actions/checkout": ("3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1"),
    "actions/cache": ("27d5ce7f107fe9357f9df03efb73ab90386fccae", "v5.0.5"),
    "actions/upload-artifact": ("bbbca2ddaa5d8feaa63e36b76fdaad77386f024f", "v7.0.0"),
    "actions/download-artifact": ("3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "v8.0.1"),
    "astral-sh/setup-uv": ("20cfd1bf945f4377ade1205e4dbc17946fc9a30d", "v10.0.1"),
    "iterative/setup-cml": ("f12ea7685438c1fc438d50f77519b3860cf5fa98", "v2.0.1"),
    "hashicorp/setup-terraform": ("dfe3c3f87815947d99a8997f908cb6525fc44e9e", "v4.0.1"),
}


@dataclass(frozen=True)
class Permission:
    """A permission of the job that runs an action, and why it is needed."""

    name: str
    level: str
    reason: str


PERMISSIONS: dict[str, tuple[Permission, ...]] = {
    "check": (Permission("contents", "read", "to check out the repository"),),
    "reproduce": (Permission("contents", "read", "to check out the repository"),),
    "gate": (Permission("contents", "read", "to check out the repository"),),
    "judge": (Permission("contents", "read", "to check out the base, and to fetch the commit that is judged"),),
    "report": (
        Permission("pull-requests", "write", "to post the card as a comment; not needed with `publisher: summary`"),
        Permission("checks", "write", "to add the check run with the verdict of the gate"),
        Permission("contents", "read", "to check out the repository; `write` where `assets` is used"),
    ),
    "deploy": (
        Permission("contents", "write", "to push the tags of version and deployment"),
        Permission("deployments", "write", "to report the deployment and its status"),
        Permission("pull-requests", "write", "to open a revert pull request after a failed deployment"),
    ),
    "monitor": (
        Permission("contents", "write", "to keep the results of the last run on the branch leverframe-monitor"),
        Permission("issues", "write", "to open, update and close the issues of alerts"),
    ),
    "retrain": (
        Permission("contents", "write", "to push the branch of a candidate, and to keep the record of attempts"),
        Permission("pull-requests", "write", "to open, update and close the pull request of a candidate"),
        Permission("actions", "write", "to dispatch the checks of the pull request, with the built-in token"),
        Permission("issues", "write", "to ask for a person after three attempts that did not help"),
    ),
    "materialize": (Permission("contents", "read", "to check out the repository"),),
    "infra-plan": (
        Permission("contents", "read", "to check out the repository"),
        Permission("id-token", "write", "to act as the role that reads, with no key kept anywhere"),
        Permission("pull-requests", "read", "to read the labels that allow to destroy what is protected"),
        Permission("deployments", "read", "to tell which commit was applied last"),
    ),
    "infra-apply": (
        Permission("contents", "read", "to check out the repository, and to read the plans that were reviewed"),
        Permission("id-token", "write", "to act as the role that applies, with no key kept anywhere"),
        Permission("checks", "read", "to read which plan a card showed"),
        Permission("deployments", "write", "to record that an apply began, and how it ended"),
        Permission("pull-requests", "write", "to comment on the pull requests that are applied"),
    ),
    "setup": (Permission("contents", "read", "to check out the repository"),),
}


FOLDER = "Folder of the project, from the top of the repository."


def pinned(action: str) -> str:
    """Return a third party's action by commit, with its version as a comment."""
    commit, version = _PINS[action.split("/", 2)[0] + "/" + action.split("/")[1]]
    return f"{action}@{commit} # {version}"


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
    found = [Input("folder", "", FOLDER, ".")]
    for option in command.params:
        if isinstance(option, click.Argument) and isinstance(option.envvar, str) and option.name:
            found.append(Input(option.name, option.envvar, ARGUMENTS[lever]))
        name = max(option.opts, key=len).lstrip("-")
        if isinstance(option, click.Option) and name not in _NOT_INPUTS and option.name:
            given = option.default if isinstance(option.default, str | int | float | Path) else ""
            default = ("true" if given else "false") if option.is_flag else str(given or "")
            variable = f"LEVERFRAME_{lever}_{option.name}".upper().replace("-", "_")
            found.append(Input(name.replace("-", "_"), variable, (option.help or "").strip(), default))
    return found


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
    for each in inputs(lever):
        lines += [f"  {each.name}:", f"    description: {_quoted(each.description)}"]
        lines += ["    required: false", f"    default: {_quoted(each.default)}"]
    if lever in TOKENS:
        lines += ["  token:", f"    description: {_quoted(TOKENS[lever])}"]
        given = _TOKEN_GIVEN.get(lever)
        lines += ["    required: false", f"    default: {'${{ github.token }}' if given is None else _quoted(given)}"]
    outputs = _outputs(lever)
    lines += ["outputs:"] if outputs else []
    for name, description in outputs.items():
        lines += [f"  {name}:", f"    description: {_quoted(description)}"]
        lines += [f"    value: ${{{{ steps.lever.outputs.{name} }}}}"]
    lines += ["runs:", "  using: composite", "  steps:", "    - id: lever", "      shell: bash"]
    lines += ["      working-directory: ${{ inputs.folder }}", "      env:"]
    lines += [f"        {each.variable}: ${{{{ inputs.{each.name} }}}}" for each in inputs(lever) if each.variable]
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
    lines += [f"| `{each.name}: {each.level}` | {each.reason} |" for each in PERMISSIONS[name]]
    lines += ["", "## A whole workflow", "", "```yaml", *_workflow(name), "```", ""]
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
    return "\n\n".join(" ".join(each.split()) for each in paragraphs)


def _after_merge() -> Iterator[str]:
    """Yield a whole workflow that deploys after a merge."""
    yield from (
        "name: deploy",
        "on:",
        "  push:",
        "    branches: [main]",
        "permissions: {}",
        "concurrency:",
        "  group: deploy",
        "  cancel-in-progress: false # one by one; the newest commit is deployed last",
        "jobs:",
        "  model:",
        "    runs-on: ubuntu-24.04",
        "    timeout-minutes: 60",
        "    permissions:",
        "      actions: read # to tell at which commit this workflow succeeded last",
        "      contents: read # to check out the repository",
        "      issues: write # to open, update and close the issue of a mismatch",
        "    steps:",
        f"      - uses: {pinned('actions/checkout')}",
        "        with:",
        "          fetch-depth: 0 # the commit that reproduced last",
        "          persist-credentials: false",
        "      - uses: OWNER/leverframe/actions/setup@COMMIT # vX.Y.Z",
        "      - uses: OWNER/leverframe/actions/reproduce@COMMIT # vX.Y.Z",
        "        with:",
        "          base: ${{ github.event.before }}",
        '          issue: "true" # which says why nothing is deployed',
        "          token: ${{ github.token }}",
        "  deploy:",
        "    needs: model # a commit that does not reproduce is not deployed",
        "    runs-on: [self-hosted, leverframe] # the machine of the server",
        "    timeout-minutes: 30",
        "    environment: production # its protection rules on GitHub apply, such as reviewers",
        "    permissions:",
    )
    for each in PERMISSIONS["deploy"]:
        yield f"      {each.name}: {each.level} # {each.reason}"
    yield from (
        "    steps:",
        f"      - uses: {pinned('actions/checkout')}",
        "        with:",
        "          fetch-depth: 0 # a rollback and a version number need earlier commits and tags",
        "          persist-credentials: false",
        "      - uses: OWNER/leverframe/actions/setup@COMMIT # vX.Y.Z",
        "      - uses: OWNER/leverframe/actions/deploy@COMMIT # vX.Y.Z",
        "        with:",
        "          environment: production",
    )


def _scheduled(name: str) -> Iterator[str]:
    """Yield a whole workflow that looks at the traffic of the day before, and may go on to retrain."""
    yield from (
        f"name: {name}",
        "on:",
        "  schedule:",
        '    - cron: "23 5 * * *" # not on the full hour, when many start',
        "  workflow_dispatch: {}",
        "permissions: {}",
        "concurrency:",
        "  group: monitor",
        "  cancel-in-progress: false # a run that was begun tells what it found",
        "jobs:",
        f"  {name}:",
        "    runs-on: ubuntu-24.04 # a log in a folder needs the machine of the server",
        f"    timeout-minutes: {30 if name == 'monitor' else 120}",
        "    permissions:",
    )
    for each in PERMISSIONS[name]:
        yield f"      {each.name}: {each.level} # {each.reason}"
    yield from (
        "    steps:",
        f"      - uses: {pinned('actions/checkout')}",
        "        with:",
        "          fetch-depth: 0 # tags tell which release served when",
        "          persist-credentials: false",
        "      - uses: OWNER/leverframe/actions/setup@COMMIT # vX.Y.Z",
        "      - uses: OWNER/leverframe/actions/monitor@COMMIT # vX.Y.Z",
        *(["      - uses: OWNER/leverframe/actions/retrain@COMMIT # vX.Y.Z"] if name == "retrain" else []),
        f"      - uses: {pinned('actions/upload-artifact')}",
        "        with:",
        "          name: leverframe-monitor",
        "          path: .leverframe/monitor",
        "          include-hidden-files: true",
    )


def _judging() -> Iterator[str]:
    """Yield a whole workflow that judges the commit of a pull request's run by the code of the default branch."""
    yield from (
        "name: judge",
        "on:",
        "  workflow_run: # runs the workflow of the default branch, and never checks the change out",
        "    workflows: [pull request]",
        "    types: [completed]",
        "permissions: {}",
        "concurrency:",
        "  group: judge-${{ github.event.workflow_run.head_sha }}",
        "  cancel-in-progress: true",
        "jobs:",
        "  judge:",
        "    runs-on: ubuntu-24.04",
        "    timeout-minutes: 60",
        "    permissions:",
    )
    for each in PERMISSIONS["judge"]:
        yield f"      {each.name}: {each.level} # {each.reason}"
    yield from (
        "    steps:",
        f"      - uses: {pinned('actions/checkout')}",
        "        with:",
        "          fetch-depth: 0",
        "          persist-credentials: false",
        '      - run: git fetch --quiet origin "$HEAD"',
        "        env:",
        "          HEAD: ${{ github.event.workflow_run.head_sha }}",
        "      - uses: OWNER/leverframe/actions/setup@COMMIT # vX.Y.Z",
        "      - uses: OWNER/leverframe/actions/judge@COMMIT # vX.Y.Z",
        "        with:",
        "          head: ${{ github.event.workflow_run.head_sha }}",
        f"      - uses: {pinned('actions/upload-artifact')}",
        "        with:",
        "          name: leverframe-judged",
        "          path: .leverframe/judged.json",
        "          include-hidden-files: true",
    )


def _hourly() -> Iterator[str]:
    """Yield a whole workflow that brings the online store up to date."""
    yield from (
        "name: materialize",
        "on:",
        "  schedule:",
        '    - cron: "41 * * * *" # not on the full hour, when many start',
        "  workflow_dispatch: {}",
        "permissions: {}",
        "concurrency:",
        "  group: materialize",
        "  cancel-in-progress: false # the next run waits; a killed one leaves the store as it was",
        "jobs:",
        "  materialize:",
        "    runs-on: [self-hosted, leverframe] # the machine of the server, or one that reaches Redis",
        "    timeout-minutes: 30",
        "    permissions:",
    )
    for each in PERMISSIONS["materialize"]:
        yield f"      {each.name}: {each.level} # {each.reason}"
    yield from (
        "    steps:",
        f"      - uses: {pinned('actions/checkout')}",
        "        with:",
        "          clean: false # the online store lies in .leverframe/online",
        "          persist-credentials: false",
        "      - uses: OWNER/leverframe/actions/setup@COMMIT # vX.Y.Z",
        "      - uses: OWNER/leverframe/actions/materialize@COMMIT # vX.Y.Z",
    )


def _infrastructure(name: str) -> Iterator[str]:
    """Yield a whole workflow that plans in a pull request, or applies after a merge."""
    applies = name == "infra-apply"
    yield from (
        f"name: {name}",
        "on:",
        *(["  push:", "    branches: [main]"] if applies else ["  pull_request:", "    types: [opened, synchronize, "
                                                             "reopened, labeled, unlabeled]"]),
        "permissions: {}",
        "concurrency:",
        f"  group: {'infrastructure-aws-prod' if applies else '${{ github.workflow }}-${{ github.ref }}'}",
        "  cancel-in-progress: " + ("false # an apply that was begun ends" if applies else "true # nothing is changed"),
        "jobs:",
        "  infrastructure:",
        *([] if applies else ["    # A fork gets neither an identity nor secrets, so that its plan could not be made.",
                              "    if: github.event.pull_request.head.repo.full_name == github.repository"]),
        "    runs-on: ubuntu-24.04",
        f"    timeout-minutes: {90 if applies else 30}",
        *(["    environment: aws-prod # its protection rules on GitHub apply, such as reviewers"] if applies else []),
        "    permissions:",
    )  # fmt: skip
    for each in PERMISSIONS[name]:
        yield f"      {each.name}: {each.level} # {each.reason}"
    yield from (
        "    steps:",
        f"      - uses: {pinned('actions/checkout')}",
        "        with:",
        *([] if applies else ["          ref: ${{ github.event.pull_request.head.sha }}"]),
        "          fetch-depth: 0 # the commits since the last apply, and the rules of the base",
        "          persist-credentials: false",
        "      - uses: OWNER/leverframe/actions/setup@COMMIT # vX.Y.Z",
        "        with:",
        '          terraform: "1.11.4" # the same for plans and applies',
        f"      - uses: OWNER/leverframe/actions/{name}@COMMIT # vX.Y.Z",
        "        with:",
        "          environment: aws-prod",
        f"          role: ${{{{ vars.{'APPLY' if applies else 'PLAN'}_ROLE }}}}",
        "          region: eu-central-1",
        *([] if applies else ["          base: origin/${{ github.base_ref }}"]),
    )


def _workflow(name: str) -> Iterator[str]:
    """Yield a whole workflow that uses the action: after a merge, on a schedule, or for a pull request."""
    if name in ("monitor", "retrain"):
        yield from _scheduled(name)
        return
    if name in ("infra-plan", "infra-apply"):
        yield from _infrastructure(name)
        return
    other = {"deploy": _after_merge, "materialize": _hourly, "judge": _judging}
    if name in other:
        yield from other[name]()
        return
    yield from (
        "name: pull request",
        "on: pull_request",
        "permissions: {}",
        "concurrency:",
        "  group: pull-request-${{ github.event.pull_request.number }}",
        "  cancel-in-progress: true",
        "jobs:",
        "  model:",
        "    runs-on: ubuntu-24.04",
        "    timeout-minutes: 60",
        "    permissions:",
    )
    for permission in PERMISSIONS["check" if name == "report" else name]:  # code of the pull request runs here
        yield f"      {permission.name}: {permission.level} # {permission.reason}"
    yield from (
        "    steps:",
        f"      - uses: {pinned('actions/checkout')}",
        "        with:",
        "          ref: ${{ github.event.pull_request.head.sha }}",
        "          fetch-depth: 0",
        "          persist-credentials: false",
        "      - uses: OWNER/leverframe/actions/setup@COMMIT # vX.Y.Z",
    )
    before = LEVERS[: LEVERS.index(name)] if name in LEVERS else ()
    for lever in (*before, *([name] if name in LEVERS else ["check"])):
        yield f"      - uses: OWNER/leverframe/actions/{lever}@COMMIT # vX.Y.Z"
        if lever in before:
            yield "        continue-on-error: true # the card lists the violations"
        yield "        with:"
        yield "          base: origin/${{ github.base_ref }}"
        if lever == "report":
            yield from _claim_left()


def _claim_left() -> Iterator[str]:
    """Yield the end of the job that leaves what a pull request says of itself."""
    yield from (
        "          publisher: summary",
        '          exit_code: "true"',
        '          token: ""',
        "      - if: ${{ !cancelled() }}",
        f"        uses: {pinned('actions/upload-artifact')}",
        "        with:",
        "          name: leverframe-report",
        "          path: .leverframe/report.json",
        "          include-hidden-files: true",
        "          if-no-files-found: error",
        "# The claim is data: code of the pull request made it. The workflow leverframe-judge.yml, which",
        "# `leverframe init` writes, judges by the code of the base branch, and posts the card and the check.",
    )


_NOT_INSTALLED = (
    "$REQUIREMENTS of this commit does not bring it: run 'leverframe init' where it is installed, and commit the files"
)
_NOT_BUILT = (
    "uv says why. Where it needs a hash for what builds a package without a wheel, such as setuptools, "
    "name that in requirements.in, delete $REQUIREMENTS, run 'leverframe init', and commit the files"
)
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
    lines = [
        "# Written by `python -m actions.generate --write`.",
        "name: leverframe setup",
        f"description: {_quoted(_purpose('setup'))}",
        "inputs:",
    ]
    for each in SETUP_INPUTS:
        lines += [f"  {each.name}:", f"    description: {_quoted(each.description)}"]
        lines += ["    required: false", f"    default: {_quoted(each.default)}"]
    key = "dvc3-${{ runner.os }}-${{ hashFiles(format('{0}/dvc.lock', inputs.folder)) }}"
    own = "${{ inputs.folder == '.' && '.dvc/cache' || format('{0}/.dvc/cache', inputs.folder) }}"
    shared = "${{ inputs.folder != '.' && '.dvc/cache' || '' }}"  # where `.dvc` is at the top of the repository
    cache = ["      with:", "        path: |", f"          {own}", f"          {shared}", f"        key: {key}"]
    restore = "        restore-keys: dvc3-${{ runner.os }}-"
    default_branch = "github.ref == format('refs/heads/{0}', github.event.repository.default_branch)"
    saves = f"inputs.cache == 'write' && {default_branch}"
    lines += [
        "runs:",
        "  using: composite",
        "  steps:",
        f"    - uses: {pinned('astral-sh/setup-uv')}",
        "      with:",
        "        activate-environment: true",
        f'        version: "{_uv_version()}" # the one of the lock of Leverframe itself',
        "        python-version: ${{ inputs.python }}",
        "        enable-cache: false # a cache saved by a pull request must not reach the default branch",
        "    - shell: bash",
        "      working-directory: ${{ inputs.folder }}",
        "      env:",
        "        REQUIREMENTS: ${{ inputs.requirements }}",
        "        PROJECT: ${{ inputs.project }}",
        "      run: |",
        '        if [ -f "$REQUIREMENTS" ]; then',
        "          if ! uv pip sync --quiet --require-hashes --require-build-hashes \\",
        "            --preview-features build-dependency-hashes \\",
        '            --build-constraint "$REQUIREMENTS" "$REQUIREMENTS"; then',
        f'            echo "::error title=Packages were not installed::{_NOT_BUILT}"',
        "            exit 1",
        "          fi",
        "        fi",
        '        if [ -n "$PROJECT" ]; then',
        '          uv pip install --quiet --no-deps --no-build-isolation --editable "$PROJECT"',
        "        fi",
        "    - name: DVC cache, saved only where it is asked for, and on the default branch",
        f"      if: {saves}",
        f"      uses: {pinned('actions/cache')}",
        *cache,
        restore,
        f"    - if: ${{{{ !({saves}) }}}}",
        f"      uses: {pinned('actions/cache/restore')}",
        *cache,
        restore,
        "    - if: inputs.cml == 'true'",
        "      continue-on-error: true # without it GitHub's interface posts the card",
        f"      uses: {pinned('iterative/setup-cml')}",
        "      with:",
        '        version: "0.20.6"',
        "    - if: inputs.terraform != 'false'",
        f"      uses: {pinned('hashicorp/setup-terraform')}",
        "      with:",
        "        terraform_version: ${{ inputs.terraform == 'true' && 'latest' || inputs.terraform }}",
        "        terraform_wrapper: false",
        "    - shell: bash",
        "      env:",
        "        REQUIREMENTS: ${{ inputs.requirements }}",
        "      run: |",
        "        if ! command -v leverframe > /dev/null; then",
        f'          echo "::error title=Leverframe is not installed::{_NOT_INSTALLED}"',
        "          exit 1",
        "        fi",
        "        leverframe --version",
        "",
    ]
    return "\n".join(lines)


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
    told = {name: _cell(_purpose(name).splitlines()[0]) for name in (*LEVERS, "setup")}
    rows = [f"| [`{name}`]({name}/README.md) | {purpose} |" for name, purpose in told.items()]
    return "\n".join([*lines, *rows, ""])


def files() -> dict[Path, str]:
    """Return every written file with its content."""
    found = {HERE / "README.md": index()}
    for lever in LEVERS:
        given = _TOKEN_GIVEN.get(lever, "${{ github.token }}")
        extra = [Input("token", "", f"{TOKENS[lever].capitalize()}.", given)] if lever in TOKENS else []
        described = inputs(lever) + extra
        found[HERE / lever / "action.yml"] = action_yml(lever)
        found[HERE / lever / "README.md"] = readme(lever, described)
    found[HERE / "setup" / "action.yml"] = setup_yml()
    found[HERE / "setup" / "README.md"] = readme("setup", SETUP_INPUTS)
    return found


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
