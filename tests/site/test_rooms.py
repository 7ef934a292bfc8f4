"""The rooms of the house: every module stands in the one contract that says what may import what."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_APART = "cwconnect.sandbox"  # shares no code with the rest, by a contract of its own
_NO_ROOM = ("migrations", "formats")  # what Django finds by name and nothing imports


def test_every_module_is_in_the_one_contract_over_all_rooms() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layered,) = [contract for contract in contracts if contract["type"] == "layers"]
    rooms = tuple(room.strip() for layer in layered["layers"] for room in layer.split("|"))

    without = [name for name in _modules() if not any(name == room or name.startswith(f"{room}.") for room in rooms)]

    assert without == []
    assert "ignore_imports" not in layered


def _modules() -> list[str]:
    files = [file for app in ("cwconnect", "instances", "polling") for file in (ROOT / app).rglob("*.py")]
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if file.stat().st_size]
    return sorted(
        name.removesuffix(".__init__")
        for name in names
        if not name.startswith(_APART) and not any(part in name.split(".") for part in _NO_ROOM)
    )
