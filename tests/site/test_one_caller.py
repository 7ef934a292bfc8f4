"""How many functions are short and have one caller: they could stand where they are called.

A reader goes back and forth for each. Some explain by their name what the line does; where they are many, most don't.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.site.test_sizes import MODULES, ROOT

SHORT = 4  # lines of a body, its docstring apart
MOST = 0.05  # of all functions

PATH = re.compile(r"\w+(\.\w+)+")  # as Django's settings name a function

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Found:
    """A function, where it stands, and the class that it is a method of."""

    module: str
    node: Function
    of: ast.ClassDef | None

    @property
    def lines(self) -> int:
        """How many lines its body has."""
        body = self.node.body[1:] if ast.get_docstring(self.node) is not None else self.node.body
        return (self.node.end_lineno or 0) - body[0].lineno + 1 if body else 0

    @property
    def overrides(self) -> bool:
        """Whether it is there for its base class, or stands in the base for what others put in its place.

        Such a method is called by a library, or by code that knows the base alone; nothing could be folded in there.
        """
        calls_base = f"super().{self.node.name}(" in ast.unparse(self.node)
        return calls_base or (self.of is not None and self.node.name in _of_bases(self.of) | _of_children(self.of))


@cache
def trees() -> dict[str, ast.Module]:
    """Return what each module of ours consists of, by its path; some million objects."""
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in MODULES}


@cache
def classes() -> dict[str, ast.ClassDef]:
    return {node.name: node for tree in trees().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Leave nothing of it behind: every later search for garbage would walk over it."""
    yield
    trees.cache_clear()
    classes.cache_clear()


def _of_bases(of: ast.ClassDef) -> set[str]:
    """Return the names that the bases of a class define, as far as those are ours."""
    names: set[str] = set()
    known = classes()
    for base in of.bases:
        name = ast.unparse(base).partition("[")[0].rpartition(".")[2]
        if known.get(name, of) is not of:  # a command's base has its own name, in another module
            names |= {node.name for node in known[name].body if isinstance(node, Function)} | _of_bases(known[name])
    return names


def _of_children(of: ast.ClassDef) -> set[str]:
    """Return the names that the classes made from one define: what they stand in for is no helper either."""
    return {
        node.name
        for child in classes().values()
        if of.name in {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in child.bases}
        for node in child.body
        if isinstance(node, Function)
    }


def functions() -> Iterator[Found]:
    for module, tree in trees().items():
        for parent in ast.walk(tree):
            for node in ast.iter_child_nodes(parent):
                if isinstance(node, Function):
                    yield Found(module, node, parent if isinstance(parent, ast.ClassDef) else None)


def called_and_named() -> tuple[Counter[str], Counter[str]]:
    """Return how often each name is called, and how often it is given away, looked up or written as a dotted path."""
    calls: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for tree in trees().values():
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
            if name is not None:
                (calls if id(node) in called else named)[name] += 1
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and PATH.fullmatch(node.value):
                named[node.value.rpartition(".")[2]] += 1
    templates = "\n".join(path.read_text() for path in Path(ROOT, "templates").rglob("*.html"))
    return calls, named + Counter(re.findall(r"\w+", templates))


def test_few_functions_are_short_and_have_one_caller() -> None:
    calls, named = called_and_named()
    found = list(functions())
    short = [
        f"{one.module}:{one.node.lineno} {one.node.name}"
        for one in found
        if one.lines < SHORT and not one.node.decorator_list and not one.node.name.startswith("__")
        if calls[one.node.name] == 1 and not named[one.node.name] and not one.overrides
    ]
    assert len(found) > 2000
    assert len(short) < MOST * len(found), f"{len(short)} of {len(found)}:\n" + "\n".join(short)
