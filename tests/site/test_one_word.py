"""One word each for what people meet, those of docs/glossary.md: on pages, in messages, in help, in commands' output.

Looked at is what is read: the texts of templates without their tags, the strings of the product that are sentences.
What the wire calls otherwise, and what is stored, are names in code or single words, and no sentences.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The wrong word: what it is called.
WRONG = {
    "exhausted": "given up",
    "undelivered": "waiting; not delivered",
    "your program": "the receiver; the API user",
    "your programs": "the receivers; the API users",
    "caller": "API user",
    "callers": "API users",
    "account": "person; user name",
    "accounts": "people; user names",
    "user secret": "API key",
    "user secrets": "API keys",
}
# In messages and documents it may be any program: one written for the product, say. On a page it is one of these.
WRONG_ON_PAGES = {"program": "receiver; API user", "programs": "receivers; API users"}
# Where one is right: the place and the word, and why.
ALLOWED = {
    ("instances/api/authentication.py", "user secret"): "the vendor's own words for a missing header",
    ("instances/audit.py", "account"): "stored: the audit log's rows keep the words that they were written with",
    ("instances/account_audit.py", "account"): "likewise",
    ("instances/sign_ins.py", "account"): "likewise",
    ("polling/models/idempotency.py", "caller"): "of a column that nobody is shown",
    ("templates/instances/api_key_made.html", "user secret"): "the wire's own name, which programs ask for",
    ("SECURITY.md", "account"): "of the machine",
}
# Programs of their own, and what answers in the vendor's words.
_ELSEWHERE = ("cwconnect/sandbox/", "cwconnect/web/")
DOCUMENTS = ("README.md", "SECURITY.md", "docs/operations.md", "docs/receivers.md")
Found = dict[tuple[str, str], str]


def read_text(template: str) -> str:
    """Return what a reader of a template sees: no comments, no tags of Django's or of HTML but what those read out."""
    text = re.sub(r"{%\s*comment\b.*?endcomment\s*%}|{#.*?#}", " ", template, flags=re.DOTALL)
    text = re.sub(r"{%.*?%}|{{.*?}}", " ", text, flags=re.DOTALL)
    read_out = re.findall(r'(?:aria-label|title|placeholder|data-label|alt)="([^"]*)"', text)
    return " ".join([*re.sub(r"<[^>]*>", " ", text, flags=re.DOTALL).split(), *read_out])


def sentences_of(module: str) -> Iterator[str]:
    """Return the strings of a module that have several words, but for its docstrings; of f-strings the whole."""
    tree = ast.parse(module)
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in skipped else None
        if isinstance(text, str) and " " in text.strip() and "polling_" not in text:  # no SQL
            yield text


def found(path: str, texts: Iterator[str] | list[str], wrong: Mapping[str, str] = WRONG) -> Found:
    words = re.compile(rf"\b({'|'.join(sorted(wrong, key=len, reverse=True))})\b", re.IGNORECASE)
    return {
        (path, match.group().lower()): f"{text[:100]!r}: {wrong[match.group().lower()]}"
        for text in texts
        for match in words.finditer(text)
    }


def on_pages() -> Found:
    seen: Found = {}
    for path in sorted(ROOT.glob("templates/**/*.html")):
        if "admin" not in path.parts:  # Django's own words stand there
            seen |= found(str(path.relative_to(ROOT)), [read_text(path.read_text())], WRONG | WRONG_ON_PAGES)
    return seen


def in_messages() -> Found:
    seen: Found = {}
    for room in ("cwconnect", "instances", "polling"):
        for path in sorted((ROOT / room).rglob("*.py")):
            place = str(path.relative_to(ROOT))
            if "migrations" not in path.parts and not place.startswith(_ELSEWHERE):
                seen |= found(place, sentences_of(path.read_text()))
    return seen


def in_documents() -> Found:
    seen: Found = {}
    for name in DOCUMENTS:
        # Code is quoted: names of fields, paths and values as they are.
        text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", " ", (ROOT / name).read_text(), flags=re.DOTALL)
        seen |= found(name, text.splitlines())
    return seen


def not_allowed(seen: Found) -> Found:
    return {key: where for key, where in seen.items() if key not in ALLOWED}


def test_no_page_calls_it_otherwise() -> None:
    assert not_allowed(on_pages()) == {}


def test_no_message_help_or_command_does() -> None:
    assert not_allowed(in_messages()) == {}


def test_no_document_for_those_who_run_it_does() -> None:
    assert not_allowed(in_documents()) == {}


def test_what_is_allowed_is_there() -> None:
    assert ALLOWED.keys() <= (on_pages() | in_messages() | in_documents()).keys()


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("<p>Your {% if a %}x{% endif %} account</p>", "account"),
        ('<td data-label="Undelivered">1</td>', "undelivered"),
        ('<button aria-label="Tell your program">x</button>', "your program"),
    ],
)
def test_a_wrong_word_is_found_where_it_is_read(template: str, word: str) -> None:
    assert [key for _, key in found("a.html", [read_text(template)])] == [word]


def test_names_are_no_words() -> None:
    assert (
        found("a.html", [read_text('<a class="account" href="{% url "x" caller %}">{{ row.undelivered }}</a>')]) == {}
    )


def test_the_glossary_has_each_word() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text()
    for word in ("Delivered", "Waiting", "Given up", "Receiver", "Person", "API user", "API key"):
        assert f"* **{word}**" in glossary
