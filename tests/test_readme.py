"""The documents name every setting, command, metric and configuration key there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from django.core.management import get_commands, load_command_class

from cwconnect import __version__

ROOT = Path(settings.BASE_DIR)
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
OURS = ("cwconnect", "instances", "polling")
SETTING = re.compile(r"CWCONNECT_[A-Z_]+[A-Z]")


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    code = "".join(path.read_text(encoding="utf-8") for app in OURS for path in (ROOT / app).rglob("*.py"))
    table = OPERATIONS.partition("## Settings")[2].partition("\n## ")[0]
    read = set(re.findall(r'env\.\w+\(\s*"(CWCONNECT_\w+)"', code))
    assert {
        name for row in table.splitlines() for name in SETTING.findall(row.split("|")[1] if "|" in row else "")
    } == read


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    exists = {name for name, app in get_commands().items() if app in OURS}
    table = OPERATIONS.partition("## Commands")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `manage\.py (\w+)", table, re.MULTILINE)) == exists


def test_every_command_says_what_it_does() -> None:
    for name, app in get_commands().items():
        if app in OURS:
            assert load_command_class(str(app), name).help, name


def test_what_is_installed_is_this_version() -> None:
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    named = re.findall(r"cwconnect-(\d[\d.]*)[-.](?:py3|tar)", "".join(path.read_text("utf-8") for path in files))
    assert set(named) == {__version__}


def test_the_two_commands_stand_first() -> None:
    first, second = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)[:2]
    assert first.endswith("manage.py up --demo")
    assert second.endswith("pytest")


def test_the_readme_is_what_a_newcomer_needs_in_five_minutes() -> None:
    assert README.count("\n") <= 150


def test_the_threat_model_says_of_everybody_what_they_are_trusted_with() -> None:
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    parts = security.split("\n## ")
    heads = [part.partition("\n")[0] for part in parts[1:]]
    trusted = next(part for part in parts if part.startswith("Who is trusted"))
    promised = next(part for part in parts if part.startswith("What is promised"))
    everybody = ("tenant", "operator", "receiver", "ConnectWise", "database", "Redis", "proxy")
    assert heads[:2] == ["Report a vulnerability", "What is supported"]
    assert [name for name in everybody if f"**{name}".lower() not in trusted.lower()] == []
    assert [name for name in everybody[:-1] if name not in promised] == []
    assert "](SECURITY.md)" in README
