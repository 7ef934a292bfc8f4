"""How long modules and functions may be (CONTRIBUTING.md#how-it-is-written)."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = [
    path
    for room in ("cwconnect", "instances", "polling")
    for path in (ROOT / room).rglob("*.py")
    if "migrations" not in path.parts
]


def test_no_module_has_more_than_300_lines() -> None:
    assert len(MODULES) > 200
    assert {str(path.relative_to(ROOT)) for path in MODULES if len(path.read_text().splitlines()) > 300} == set()


def test_no_function_has_more_than_40_lines() -> None:
    long = {
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno >= 40
    }
    assert long == set()
