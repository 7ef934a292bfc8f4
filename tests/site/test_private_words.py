"""Words that the code once had for itself, and what the field calls them: none comes back (docs/glossary.md).

Each is looked for in names and docstrings, as a word of its own. Those that are English besides (`door`, `shares`) are
looked for in names alone, where they could only mean ours.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The private word: what it is called.
WORDS = {
    "parcel": "delivery request",
    "parcels": "delivery requests",
    "chooser": "scheduler",
    "lookout": "watchdog",
    "chore": "periodic job",
    "chores": "periodic jobs",
    "absence": "missing record",
    "absences": "missing records",
    "witness": "canary",
    "setback": "retry decision",
    "tally": "counter",
    "tallies": "counters",
    "dealings": "sales records",
    "earned": "host stats",
    "bury": "release a dead cluster; remember as gone",
}
IN_NAMES = WORDS | {
    "door": "client",
    "flight": "request state",
    "envelope": "delivery target",
    "packing": "prepare",
    "shares": "concurrency limiter",
    "turns": "batches",
    "backlogs": "scan cursor",
    "telling": "alert sender",
    "trials": "test notification",
    "forgetting": "purge",
    "standing": "status",
    "fate": "retry decision",
    "troubles": "delivery issues",
    "presence": "database lock",
    "lots": "batches",
}
ALLOWED = {
    ("instances/secrets/__init__.py", "standing_at"): "where a secret stands: a place, no status",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for room in ("cwconnect", "instances", "polling"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def words_of(name: str) -> set[str]:
    """Return the words that a name is made of, in snake or camel case."""
    return set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


def names_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def docstrings_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            yield ast.get_docstring(node) or ""


def test_no_name_holds_a_private_word() -> None:
    found = {
        f"{path}: {name}": IN_NAMES[word]
        for path, tree in modules()
        for name in names_of(tree)
        for word in words_of(name) & IN_NAMES.keys()
        if (path, name) not in ALLOWED
    }
    assert found == {}


def test_no_module_is_called_by_one() -> None:
    found = {path: word for path, _ in modules() for word in words_of(Path(path).stem) & IN_NAMES.keys()}
    assert found == {}


def test_no_docstring_holds_one() -> None:
    found = {
        f"{path}: {word}": WORDS[word]
        for path, tree in modules()
        for text in docstrings_of(tree)
        for word in set(re.findall(r"[a-z]+", text.lower())) & WORDS.keys()
    }
    assert found == {}


def test_what_is_allowed_is_there() -> None:
    there = {(path, name) for path, tree in modules() for name in names_of(tree)}
    assert ALLOWED.keys() <= there
