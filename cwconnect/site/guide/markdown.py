"""Markdown → HTML as the pages have it: headings with GitHub's anchors, links that stay inside, tables that scroll.

Raw HTML in a document is shown as text; links of other schemes than http, https and mailto are no links.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

Resolve = Callable[[str], str | None]  # a link as the document has it → where it leads on the pages; None: nowhere
_OUTSIDE = re.compile(r"https?://|mailto:")


@dataclass(frozen=True)
class Section:
    """A part of a document below a heading of the second level; the first has what stands above all of them."""

    anchor: str
    title: str
    html: SafeString


def anchor_of(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def in_line(text: str) -> SafeString:
    """Render a sentence: code and emphasis, no blocks."""
    html: str = _parser().renderInline(text)
    return mark_safe(html)  # noqa: S308  (raw HTML is not passed through)


def sections(text: str, resolve: Resolve) -> list[Section]:
    """Render a document, section by section, without its own title."""
    markdown = _parser()
    tokens = markdown.parse(text)
    _finish(tokens, resolve)
    found = []
    for title, part in _cut(tokens):
        html = markdown.renderer.render(part, markdown.options, {})
        found.append(Section(anchor_of(title), title, mark_safe(html)))  # noqa: S308  (raw HTML is not passed through)
    return found


def _parser() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("table_open", _open_table)
    markdown.add_render_rule("table_close", _close_table)
    return markdown


def _open_table(_renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    head = [token.content for token in tokens[index : index + 12] if token.type == "inline"]
    return format_html(
        '<div class="scroll" role="region" tabindex="0" aria-label="Table: {}"><table>', ", ".join(head[:3])
    )


def _close_table(*_: Any) -> str:
    return "</table></div>"


def _cut(tokens: Sequence[Token]) -> Iterator[tuple[str, list[Token]]]:
    """Cut at the headings of the second level; the document's own title is left out."""
    title, part = "", list[Token]()
    rest = iter(enumerate(tokens))
    for index, token in rest:
        if token.type == "heading_open" and token.tag in ("h1", "h2"):
            if part:
                yield title, part
            title, part = ("" if token.tag == "h1" else _text(tokens[index + 1])), []
            next(rest), next(rest)  # the heading's words and its end
        else:
            part.append(token)
    if part:
        yield title, part


def _text(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ())


def _finish(tokens: Sequence[Token], resolve: Resolve) -> None:
    """Set the anchors of headings and the places that links lead to."""
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and following is not None:
            token.attrSet("id", anchor_of(_text(following)))
        for child in token.children or ():
            if child.type == "link_open":
                _place(child, resolve)


def _place(link: Token, resolve: Resolve) -> None:
    """Point a link at its page; one that leads nowhere becomes plain words, marked as what they were."""
    address = str(link.attrs.get("href", ""))
    place = address if _OUTSIDE.match(address) else resolve(address)
    if place is None:
        del link.attrs["href"]
    else:
        link.attrs["href"] = place
