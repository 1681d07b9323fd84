"""What no other process is given, and what no text that is kept or published may hold: passwords, keys and tokens.

A stage runs code of many packages. It gets no token of the forge, and what it prints may hold secrets of its own, such
as the address of a database in the error of a driver. Words of other processes go through ``redacted`` where an error
takes them: GitHub hides secrets in logs, but neither in git, nor on pages, nor in issues.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import quote

HIDDEN = "***"

# What lets somebody write to the repository or act as the job. Only this process and the git that it starts need that:
# stages, DVC and the server do not, and whatever package they import could read it. Names that end in * are prefixes.
FORGE_TOKENS = (
    "GITHUB_TOKEN",  # the job's token, or that of an App: contents, pull requests, issues
    "GH_TOKEN",  # the same, as the program `gh` reads it
    "GITHUB_ENTERPRISE_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "REPO_TOKEN",  # the same, as CML reads it
    "CML_TOKEN",
    "CI_JOB_TOKEN",  # of GitLab
    "GITLAB_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",  # opens artifacts and caches of the run, which later jobs trust
    "ACTIONS_ID_TOKEN_REQUEST_*",  # asks for an identity of the job, with which clouds let it in
)
# All that a server is given: how the system, its language and its libraries are found. It reads its bundle from this
# machine and speaks to nobody but an online store, whose address the settings name.
_OF_SERVER = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TZDIR", "TMPDIR", "TEMP", "TMP",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR", "MALLOC_*",
    "PYDANTIC_DISABLE_PLUGINS",
)  # fmt: skip

_LEAST = 6  # characters of a value that is hidden wherever it stands
_SECRET_NAME = re.compile(
    r"TOKEN$|TOKEN_|SECRET|PASSW|PASSPHRASE|(?:^|_)PASS$|_PWD$|_AUTH$|_PEM$|KEY$|KEY_ID$|CREDENTIAL|WEBHOOK",
    re.IGNORECASE,
)
_USER = re.compile(r"://[^\s/:@'\"]{0,99}:([^\s'\"]{1,999})@")  # the password of an address

# Every repetition is bounded: a stage may print a line of a megabyte.
_QUOTED = (
    r"\*{3}(?=[,)\]}]*(?:[\s;&'\"]|$))|"
    r"\"(?:[^\"\\\r\n]|\\.){0,4000}(?:\"|$)|'(?:[^'\\\r\n]|\\.){0,4000}(?:'|$)|\\+[\"'][^\"'\r\n]{0,4000}[\"']?"
)
_VALUE = rf"(?:{_QUOTED}|[^\s;&'\"]+)"
_NAME = (
    r"(?:pass(?:word|wd|phrase)|(?<![a-z])pass|pwd|secret|token|credentials?|signature|"
    r"(?:api|access|account|private|secret|shared|signing|encryption|master|auth|ssh|storage)[_.-]?key(?:[_.-]?id)?)"
    r"(?:[_.-]?(?:value|\d{1,3}))?"
)
_WORDS = ("pass", "pwd", "secret", "token", "credential", "signature", "key")  # one of them is in each _NAME
_ADDRESS = ("://",)
# Each rule has parts of which a text must have one, in small letters, to be worth the search: most lines have none.
_RULES = tuple(
    (parts, re.compile(pattern, re.IGNORECASE | re.MULTILINE), into)
    for parts, pattern, into in (
        # headers, to the end of the line or of the quotes
        (
            ("authorization", "cookie"),
            rf"(authorization|cookie)(\\*[\"']?\s{{0,9}}[:=]\s{{0,9}})(?:{_QUOTED}|[^\r\n'\"]+)",
            r"\1\2***",
        ),
        (("bearer",), r"\b(bearer)\s{1,9}[\w.~+/=-]{6,}", r"\1 ***"),
        # who asks, of an address with or without a scheme, whatever is unescaped in the password
        (_ADDRESS, r"://[^\s/:@'\"]{0,99}:[^\s'\"]{0,999}@", "://***@"),
        (_ADDRESS, r"://[^\s/@'\"]{0,999}@", "://***@"),
        (("@",), r"(?<![\w.%+/:-])[\w.%+-]{1,99}:[^\s:@'\"/]{1,999}@(?=[\w.-])", "***@"),
        (("@",), r"(?<![\w.%+/:-])[\w.%+-]{1,99}/[^\s:@'\"/]{1,999}@(?=[a-z][\w-]{0,63}\.[a-z])", "***@"),
        # the query of an address, and what follows it
        (_ADDRESS, r"(://[^\s'\"?]{0,999})\?[^\s'\"]+", r"\1?***"),
        (("?", "&"), r"([?&][\w.%\[\]~-]{1,99})=[^\s&'\"]+", r"\1=***"),
        # values with a name, as settings, JSON, YAML, connection strings and arguments write them
        (_WORDS, rf"({_NAME}(?:\\*[\"'])?\s{{0,9}}(?:=>|[:=])\s{{0,9}}){_VALUE}", r"\1***"),
        (_WORDS, rf"((?<![\w-])--?[\w-]{{0,30}}{_NAME})\s{{1,9}}{_VALUE}", r"\1 ***"),
        (("key=",), rf"(key=){_VALUE}", r"\1***"),
        # tokens that say what they are
        (
            ("gh", "github_pat_", "glpat-", "xox", "sk-", "hf_", "npm_", "pypi-"),
            r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|sk-|hf_|npm_|pypi-)[\w-]{6,}",
            HIDDEN,
        ),
        (("akia", "asia"), r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b", HIDDEN),
        (("eyj",), r"\beyJ[\w-]{5,999}\.[\w-]+(?:\.[\w-]*)?", HIDDEN),
    )
)
_PARTS = re.compile("|".join(sorted({re.escape(part) for parts, _, _ in _RULES for part in parts})))


def redacted(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return words of another process without what is, or looks like, a secret; ``***`` stands for each.

    Hidden are: user and password of an address, the query of an address, values that are called password, token, key
    and the like, headers that let somebody in, tokens of known forms, and the values (of 6 characters or more) that
    variables of the environment with such names have.
    """
    known = os.environ if environment is None else environment
    for value in _values(known) if known else ():
        text = text.replace(value, HIDDEN)
    return _without_patterns(text)


def _without_patterns(text: str) -> str:
    small = text.casefold()  # as the rules compare letters: it takes the long s for an s
    if not _PARTS.search(small):
        return text
    for parts, pattern, into in _RULES:
        if any(part in small for part in parts):
            text = pattern.sub(into, text)
    return text


def without_forge(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without ``FORGE_TOKENS``; what opens a remote of DVC stays."""
    return {name: value for name, value in environment.items() if not _among(name, FORGE_TOKENS)}


def for_server(environment: Mapping[str, str], passed: Collection[str] = ()) -> dict[str, str]:
    """Return the environment of a server: what every program needs, and the names that the settings pass.

    Whatever is passed, a token of the forge is not. Of the folders that Python imports from, those relative to where
    it is started are left out.
    """
    kept = {
        name: value for name, value in without_forge(environment).items() if _among(name, _OF_SERVER) or name in passed
    }
    folders = [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder.startswith(os.sep)]
    return {**kept, **({"PYTHONPATH": os.pathsep.join(folders)} if folders else {})}


def _among(name: str, names: tuple[str, ...]) -> bool:
    return any(name.upper().startswith(mask[:-1]) if mask.endswith("*") else name.upper() == mask for mask in names)


def _values(environment: Mapping[str, str]) -> list[str]:
    """Return what is secret in an environment, as it stands there, line by line, and as an address writes it."""
    secrets = {line.strip() for value in secrets_of(environment) for line in (value, *value.splitlines())}
    secrets |= {quote(value, safe="") for value in secrets}
    return sorted((value for value in secrets if len(value) >= _LEAST), key=lambda value: (-len(value), value))


def secrets_of(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of an environment that are secret by their names, or the password of an address."""
    for name, value in environment.items():
        if _SECRET_NAME.search(name):
            yield value
        yield from _USER.findall(value)
