"""What GitHub makes of Markdown: its own implementation, then the references that it looks for outside of code."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

_CODE = ("code", "pre", "a")  # in which GitHub follows nothing
_OURS = {
    "a", "b", "blockquote", "br", "code", "details", "em", "h1", "h2", "h3", "img", "li", "p", "pre", "span", "strong",
    "sub", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_VOID = ("br", "img", "input", "hr")
_LIVE = {
    "mention": r"@\w",
    "issue": r"(?<!pull request )#\d|\bGH-\d",
    "commit": r"(?<![0-9a-z])[0-9a-f]{7,40}(?![0-9a-z])",
    "address": r"\w://|\bwww\.",
    "emoji": r":(?!\d\d:)[\w+-]+:",
}
_PATTERNS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _LIVE.items()}


def rendered(markdown: str) -> str:
    """Return the HTML of Markdown with the extensions of GitHub, raw HTML included."""
    options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
    return str(cmarkgfm.github_flavored_markdown_to_html(markdown, options))


def live(markdown: str, ours: tuple[str, ...] = ()) -> list[str]:
    """Return what a page of Markdown makes live: references, links beside ``ours``, and other markup."""
    page = _Page(ours)
    page.feed(rendered(markdown))
    page.close()
    page.end_of_text()
    return page.found


class _Page(HTMLParser):
    """Collects what is live; a text ends where a tag begins or ends, as for GitHub's filters."""

    def __init__(self, ours: tuple[str, ...]) -> None:
        super().__init__(convert_charrefs=True)
        self._ours, self._open, self._text, self.found = ours, [""], "", list[str]()
        self._fresh = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.end_of_text()
        known = dict(attrs)
        if tag not in _OURS:
            self.found.append(f"markup: <{tag}>")
        for name, value in known.items():
            if name in ("href", "src") and value not in self._ours:
                self.found.append(f"link: {value}")
            elif name not in ("href", "src", "alt", "align", "open") and not (tag == "pre" and name == "lang"):
                self.found.append(f"attribute: {name}")
        if tag not in _VOID:
            self._open.append(tag)
        self._fresh = tag if tag in ("li", "blockquote") else self._fresh if tag == "p" else ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self.end_of_text()
        if self._open[-1] != tag:
            self.found.append(f"markup: </{tag}> in <{self._open[-1]}>")
        else:
            self._open.pop()
        self._fresh = ""

    def handle_comment(self, data: str) -> None:
        self.found.append(f"comment: {data}")

    def handle_decl(self, decl: str) -> None:
        self.found.append(f"declaration: {decl}")

    def unknown_decl(self, data: str) -> None:
        self.found.append(f"declaration: {data}")

    def handle_pi(self, data: str) -> None:
        self.found.append(f"instruction: {data}")

    def handle_data(self, data: str) -> None:
        self._text += data

    def end_of_text(self) -> None:
        """Judge the text so far."""
        text, self._text = self._text, ""
        if not text or set(_CODE) & set(self._open):
            return
        self.found += [f"{kind}: {text!r}" for kind, pattern in _PATTERNS.items() if pattern.search(text)]
        if "$" in text and not (self._open[-1] == "span" and text == "$"):
            self.found.append(f"formula: {text!r}")
        if self._fresh and re.match(r"\s*\[[ xX]?\]" if self._fresh == "li" else r"\s*\[!", text):
            self.found.append(f"task or alert: {text!r}")
        if text.strip():
            self._fresh = ""
