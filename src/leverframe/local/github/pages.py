"""The web pages of the local forge: pull requests and issues of a repository, and one page for each."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from string import Template

from leverframe.adapters.markdown_it import fragment, framed
from leverframe.local.github.state import Check, Issue, PullRequest, Repository
from leverframe.package import template

_MARKS = {"success": "✓", "failure": "✗", "neutral": "○", "in_progress": "◔", "queued": "◔"}
_ISSUE_MARKS = {"open": "○", "closed": "✓"}
_DIFF = 200_000  # characters shown of a diff


def page(path: str, repositories: Mapping[str, Repository]) -> str | None:
    """Return the page of a path; None for any other path."""
    match = re.fullmatch(r"/([^/]+/[^/]+?)(?:/(pull|issues)/(\d+))?/?", path)
    if path == "/":
        links = [f'<li><a href="/{name}">{html.escape(name)}</a></li>' for name in repositories]
        return framed("Repositories", f"<h1>Repositories</h1><ul>{''.join(links)}</ul>")
    repository = repositories.get(match[1]) if match else None
    if match is None or repository is None:
        return None
    if match[2] is None:
        return _list(repository)
    if match[2] == "issues":
        issue = repository.issues.get(int(match[3]))
        return issue_page(issue) if issue else None
    pull = repository.pulls.get(int(match[3]))
    return pull_page(repository, pull) if pull else None


def picture(path: str, repositories: Mapping[str, Repository]) -> str | None:
    """Return the content of an SVG file of a branch, as its raw address gives it; None for any other path."""
    match = re.fullmatch(r"/([^/]+/[^/]+)/blob/([\w-]+)/([\w/]+\.svg)", path)
    repository = repositories.get(match[1]) if match else None
    if match is None or repository is None or not repository.commit(match[2]):
        return None
    return repository.git("show", f"{match[2]}:{match[3]}")


def _list(repository: Repository) -> str:
    rows = [
        f'<li>{_mark(repository, pull)} <a href="/{repository.full_name}/pull/{pull.number}">'
        f"#{pull.number} {html.escape(pull.title)}</a></li>"
        for pull in repository.pulls.values()
    ]
    issues = [
        f'<li>{_ISSUE_MARKS[issue.state]} <a href="/{repository.full_name}/issues/{issue.number}">'
        f"#{issue.number} {html.escape(issue.title)}</a></li>"
        for issue in sorted(repository.issues.values(), key=lambda issue: issue.state, reverse=True)
    ]
    shown = f"<h2>Issues</h2><ul>{''.join(issues)}</ul>" if issues else ""
    return framed(repository.full_name, f"<h1>{html.escape(repository.full_name)}</h1><ul>{''.join(rows)}</ul>{shown}")


def issue_page(issue: Issue) -> str:
    """Return the page of an issue: its conversation, labels and assignees."""
    boxes = [_box(issue.author, fragment(issue.body))]
    boxes += [_box(comment.author, fragment(comment.body), edited=comment.edits > 0) for comment in issue.comments]
    state = f"{issue.state} as {issue.reason.replace('_', ' ')}" if issue.reason else issue.state
    facts = [state, *issue.labels, *(f"@{login}" for login in issue.assignees)]
    title = f"{html.escape(issue.title)} <small>#{issue.number}</small>"
    return framed(issue.title, f"<h1>{title}</h1><p>{html.escape(' · '.join(facts))}</p>{''.join(boxes)}")


def _mark(repository: Repository, pull: PullRequest) -> str:
    states = [_state(check) for check in repository.latest_checks(pull.head).values()]
    worst = next((state for state in ("failure", "in_progress", "queued", "neutral", "success") if state in states), "")
    return f'<span class="{worst}">{_MARKS.get(worst, "·")}</span>'


def pull_page(repository: Repository, pull: PullRequest) -> str:
    """Return the page of a pull request: conversation, checks, commits and the diff against its base."""
    boxes = [_box(pull.author, fragment(pull.body))] if pull.body else []
    boxes += [_box(comment.author, fragment(comment.body), edited=comment.edits > 0) for comment in pull.comments]
    texts = {
        "title": pull.title, "number": pull.number, "state": "merged" if pull.merged else pull.state,
        "author": pull.author, "branch": pull.branch, "base": pull.base,
        "stat": _git_diff(repository, pull, "--stat=100"),
    }  # fmt: skip
    body = Template(template("pull-request.html")).substitute(
        {name: html.escape(str(text)) for name, text in texts.items()},
        conversation="\n".join(boxes),
        checks=_checks(repository, pull),
        diff=_diff(repository, pull),
    )
    return framed(f"{pull.title} #{pull.number}", body)


def _box(author: str, body: str, *, edited: bool = False) -> str:
    note = " · edited" if edited else ""
    return f"<div class=box><div class=head><b>{html.escape(author)}</b> commented{note}</div>{body}</div>"


def _state(check: Check) -> str:
    return check.conclusion or check.status


def _checks(repository: Repository, pull: PullRequest) -> str:
    rows = [
        f'<tr><td class="{_state(check)}">{_MARKS.get(_state(check), "·")} {html.escape(check.name)}</td>'
        f"<td>{html.escape(check.title)}</td></tr>"
        for check in repository.latest_checks(pull.head).values()
    ]
    return "".join(rows) or "<tr><td>none yet</td></tr>"


def _diff(repository: Repository, pull: PullRequest) -> str:
    patch = _git_diff(repository, pull, "--unified=2", "--", ".", ":(exclude)dvc.lock", ":(exclude)reports")
    return "\n".join(map(_line, patch[:_DIFF].splitlines()))


def _git_diff(repository: Repository, pull: PullRequest, how: str, *paths: str) -> str:
    return repository.git("diff", how, f"{pull.base}...refs/pull/{pull.number}/head", *paths)


def _line(line: str) -> str:
    text = html.escape(line)
    if line.startswith("+") and not line.startswith("+++"):
        return f"<ins>{text}</ins>"
    return f"<del>{text}</del>" if line.startswith("-") and not line.startswith("---") else text
