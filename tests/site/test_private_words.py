"""Words that the code once had for itself, and what the field calls them: none comes back (docs/glossary.md).

`EVERYWHERE` are words that nobody needs: not in a name, docstring, comment or test, nor in the product's strings, which
are its pages, help, logs and errors, nor in templates, style sheets, scripts and documents. `IN_NAMES` are English
besides, and looked for where they could only mean ours: in names of code, templates and classes of style, though not in
the names of tests, which are sentences. `IDENTIFIERS` are too common in parts, and looked for whole.

Migrations and dumps of earlier versions keep the words that they were written with, and tests what they are given.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.required import lengthy

ROOT = Path(__file__).parents[2]
# The private word: what it is called.
EVERYWHERE = {
    "told": "recorded (an event), delivered (a notification), sent (an alert), notified (whoever hears of it)",
    "telling": "recording, delivering, sending",
    "untold": "not recorded, undelivered, unsent",
    "parcel": "delivery request",
    "parcels": "delivery requests",
    "chooser": "scheduler",
    "lookout": "watchdog",
    "chore": "periodic job",
    "chores": "periodic jobs",
    "absence": "missing record",
    "absences": "missing records",
    "witness": "canary",
    "witnesses": "canaries",
    "setback": "retry decision",
    "setbacks": "retry decisions",
    "tally": "counter",
    "tallies": "counters",
    "dealings": "sales records",
    "bury": "release a dead cluster; remember as gone",
    "buried": "released; remembered as gone",
}
IN_NAMES = EVERYWHERE | {
    "door": "outbound client",
    "envelope": "delivery target",
    "packing": "prepare",
    "earned": "host stats",
    "shares": "concurrency limiter",
    "turns": "batches",
    "backlogs": "scan cursor",
    "tells": "records, notifies",
    "trial": "test notification",
    "trials": "test notifications",
    "pulse": "healthcheck ping",
    "forgetting": "purge",
    "standing": "status",
    "fate": "retry decision",
    "walked": "keyset",
    "trouble": "delivery issue",
    "troubles": "delivery issues",
    "presence": "database lock",
    "lots": "batches",
}
# As names of templates and classes of style alone: as words of names they are English.
IN_STYLE = IN_NAMES | {"need": "action item", "needs": "action items", "mend": "edit"}
IDENTIFIERS = {
    "front_door": "client_ip",
    "Trust": "AdaptiveLimits",
    "Turn": "Batch",
    "Post": "SupervisorSlot",
    "Wanted": "InstanceConfig",
    "Refusal": "DomainError",
    "mend_times": "repair_clock_skew",
    "kept_keys": "key_backup",
    "let_go": "stop_instance",
    "Flight": "RequestState",
}
# As they stand in what the product says of itself.
PHRASES = {"known row": "snapshot", "above the mark": "above the high-water id", "below the mark": "below it"}
# Where one stands for something else: the place and the word, and for what.
ALLOWED = {
    ("instances/secrets/__init__.py", "standing"): "where a secret stands: a place, no status",
    **dict.fromkeys(
        (("polling/api/v1/sending.py", "trial"), ("polling/api/v1/subscription_actions.py", "trial")),
        "TrialShape is a name on the wire: generated clients call a class by it",
    ),
}
Found = dict[tuple[str, str], str]  # place and word: where exactly, and what it is called


def modules(*rooms: str) -> Iterator[tuple[str, str]]:
    """Return path and text of every module, but for migrations and this one, which has the words."""
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts and path != Path(__file__):
                yield str(path.relative_to(ROOT)), path.read_text()


def texts(*patterns: str) -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            yield str(path.relative_to(ROOT)), path.read_text()


def words_of(name: str) -> set[str]:
    """Return the words that a text or name is made of, in snake or camel case."""
    return set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


def names_of(tree: ast.Module) -> Iterator[str]:
    """Return whatever somebody called something: functions, classes, arguments, variables, attributes, keywords."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword | ast.alias):
            yield from filter(None, (getattr(node, "arg", None), getattr(node, "asname", None)))


def docstrings_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            yield ast.get_docstring(node) or ""


def comments_of(text: str) -> Iterator[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    yield from (token.string for token in tokens if token.type == tokenize.COMMENT)


def strings_of(tree: ast.Module) -> Iterator[str]:
    """Return every string, the parts of f-strings included: help, labels, log lines, errors, keys of what is stored."""
    yield from (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def found_in(path: str, what: str, text: str, words: dict[str, str]) -> Found:
    said = words_of(text) & words.keys()
    if not path.startswith("tests"):
        said |= {phrase for phrase in PHRASES if phrase in text.lower()}
    return {(path, word): f"{what} {text[:80]!r}: {(words | PHRASES)[word]}" for word in said}


def found_in_names(path: str, tree: ast.Module) -> Found:
    found = found_in(path, "the module", Path(path).stem.removeprefix("test_"), IN_NAMES)
    for name in names_of(tree):
        found |= found_in(path, "the name", name, EVERYWHERE if name.startswith("test_") else IN_NAMES)
        if name in IDENTIFIERS:
            found[path, name] = f"the name {name!r}: {IDENTIFIERS[name]}"
    return found


@cache  # two tests ask, and this takes seconds
def found_in_code() -> Found:
    """Look through names, docstrings and comments of product and tests, and through the strings of the product."""
    found: Found = {}
    for path, text in modules("cwconnect", "instances", "polling", "tests"):
        tree = ast.parse(text)
        found |= found_in_names(path, tree)
        prose = [*docstrings_of(tree), *comments_of(text)]
        for piece in prose if path.startswith("tests") else [*prose, *strings_of(tree)]:
            found |= found_in(path, "the text", piece, EVERYWHERE)
    return found


def found_in_pages() -> Found:
    """Look through templates, style sheets and scripts: their names, their classes and ids, and all that they say."""
    found: Found = {}
    for path, text in texts("templates/**/*.html", "cwconnect/static/cwconnect/*.*s*"):
        found |= found_in(path, "the file", Path(path).stem, IN_STYLE)
        named = re.findall(r'(?:class|id|hx-target)="([^"]*)"', text)
        if path.endswith(".css"):
            named = re.findall(r"[.#]([A-Za-z][\w-]*)", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
        for name in named:
            found |= found_in(path, "the class or id", name, IN_STYLE)
        for line in text.splitlines():
            found |= found_in(path, "the line", line.strip(), EVERYWHERE)
    return found


def found_in_documents() -> Found:
    found: Found = {}
    for path, text in texts("*.md", "docs/**/*.md", "pyproject.toml"):
        for line in text.splitlines():
            found |= found_in(path, "the line", line, EVERYWHERE)
    return found


def everything_found() -> Found:
    return found_in_code() | found_in_pages() | found_in_documents()


def not_allowed(found: Found) -> Found:
    return {key: where for key, where in found.items() if key not in ALLOWED}


pytestmark = pytest.mark.xdist_group("private-words")  # in one process, which looks once


def test_no_code_holds_a_private_word() -> None:
    assert not_allowed(found_in_code()) == {}


def test_no_page_holds_one() -> None:
    assert not_allowed(found_in_pages()) == {}


def test_no_document_holds_one() -> None:
    assert not_allowed(found_in_documents()) == {}


@lengthy
def test_what_is_allowed_is_there() -> None:
    assert ALLOWED.keys() <= everything_found().keys()
