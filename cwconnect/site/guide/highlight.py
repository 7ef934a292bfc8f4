"""Code in colours: keywords, texts and comments, each by a class: the pages' policy allows no styles in HTML."""

from __future__ import annotations

from functools import lru_cache

from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Literal, Name

# Of few kinds, so that each has a contrast that is enough, in light and in dark.
_CLASSES = (
    (Comment, "code-comment"),
    (Literal.String, "code-text"),
    (Literal.Number, "code-text"),
    (Keyword, "code-word"),
    (Name.Tag, "code-word"),  # the names in JSON
)


@lru_cache(maxsize=128)
def highlighted(code: str, language: str) -> SafeString:
    """Return code as HTML whose text is the code's, byte for byte; `language` is a name that Pygments has."""
    tokens = get_lexer_by_name(language, stripnl=False, ensurenl=False).get_tokens(code)
    return format_html_join("", "{}", ((_marked(kind, text),) for kind, text in tokens))


def _marked(kind: object, text: str) -> SafeString | str:
    found = next((name for known, name in _CLASSES if kind in known), "")
    return format_html_join("", '<span class="{}">{}</span>', [(found, text)]) if found else text
