"""Markdown as a page of HTML that needs no network: for looking at a card without a forge."""

from __future__ import annotations

from string import Template

from markdown_it import MarkdownIt

from leverframe.inert import markup
from leverframe.package import template

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")


def fragment(markdown: str) -> str:
    """Return Markdown as HTML, as GitHub would but for its diagrams, which stay text.

    Markup in the text is kept, so the text must be ours: ``leverframe.inert`` escapes what is not.
    """
    return str(_MARKDOWN.render(markdown))


def page(title: str, markdown: str) -> str:
    """Return a whole page around a piece of Markdown."""
    return framed(title, fragment(markdown))


def framed(title: str, body: str) -> str:
    """Return a whole page around a piece of HTML; it may load nothing and run nothing."""
    known = {"title": markup.text(title), "style": template("page.css"), "body": body}
    return Template(template("page.html")).substitute(known)
