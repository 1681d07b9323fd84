"""Markdown as a page of HTML that needs no network: for looking at a card without a forge."""

from __future__ import annotations

import html

from markdown_it import MarkdownIt

_STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--soft:#59636e;--rule:#d1d9e0;--page:#fff;--box:#f6f8fa}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--rule:#3d444d;--page:#0d1117;--box:#151b23}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:62rem;margin:2rem auto;
padding:0 1rem}table{border-collapse:collapse;display:block;overflow-x:auto;margin:.6rem 0}
td,th{border:1px solid var(--rule);padding:.25rem .6rem;text-align:left;font-variant-numeric:tabular-nums}
th{background:var(--box)}code,pre{background:var(--box);border-radius:4px;font-size:.88em}code{padding:.1em .3em}
pre{padding:.7rem;overflow-x:auto}details{border:1px solid var(--rule);border-radius:6px;padding:.5rem .8rem;
margin:.6rem 0}h2,h3{line-height:1.25}.box{border:1px solid var(--rule);border-radius:8px;padding:0 1rem 1rem;
margin:1rem 0}.head{background:var(--box);margin:0 -1rem 1rem;padding:.5rem 1rem;border-radius:8px 8px 0 0;
color:var(--soft)}.state{border-radius:2em;padding:.2em .8em;color:#fff;background:#1a7f37}
.failure{color:#cf222e}.success{color:#1a7f37}.neutral{color:var(--soft)}del{background:#cf222e33;
text-decoration:none}ins{background:#1a7f3733;text-decoration:none}
"""

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")


def fragment(markdown: str) -> str:
    """Return Markdown as HTML, as GitHub would but for its diagrams, which stay text.

    Markup in the text is kept, so the text must be ours: a card escapes what is not.
    """
    return str(_MARKDOWN.render(markdown))


def page(title: str, markdown: str) -> str:
    """Return a whole page around a piece of Markdown."""
    return framed(title, fragment(markdown))


def framed(title: str, body: str) -> str:
    """Return a whole page around a piece of HTML; it may load nothing and run nothing."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self'"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><body>{body}</body></html>\n'
    )
