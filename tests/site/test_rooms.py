"""The rooms of the house: every module stands in the one contract that says what may import what."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_VERSION = "cwconnect.__init__"  # the package itself, which every room is in: it has the version, and imports nothing
_APART = "cwconnect.sandbox"  # shares no code with the rest, by a contract of its own
_NO_ROOM = ("migrations", "formats")  # what Django finds by name and nothing imports


def test_every_module_is_in_the_one_contract_over_all_rooms() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layered,) = [contract for contract in contracts if contract["type"] == "layers"]
    rooms = tuple(room.strip() for layer in layered["layers"] for room in layer.split("|"))

    without = [name for name in _modules() if not any(name == room or name.startswith(f"{room}.") for room in rooms)]

    assert without == []
    assert "ignore_imports" not in layered


def test_the_package_itself_has_the_version_alone() -> None:
    words, version = ast.parse((ROOT / "cwconnect" / "__init__.py").read_text()).body
    assert isinstance(words, ast.Expr)
    assert isinstance(version, ast.Assign)
    assert ast.unparse(version.targets[0]) == "__version__"


def _modules() -> list[str]:
    files = [file for app in ("cwconnect", "instances", "polling") for file in (ROOT / app).rglob("*.py")]
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if file.stat().st_size]
    return sorted(
        name.removesuffix(".__init__")
        for name in names
        if name != _VERSION and not name.startswith(_APART) and not any(part in name.split(".") for part in _NO_ROOM)
    )
