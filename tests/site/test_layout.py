"""Where the service finds what is no code of its own, in a checkout and installed from a wheel."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from cwconnect import __version__
from cwconnect.command import main
from cwconnect.core import layout
from cwconnect.site.licences import requirements

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The package's folder, as a wheel has it."""
    (tmp_path / "cwconnect" / "templates").mkdir(parents=True)
    return tmp_path / "cwconnect"


def test_a_checkout_keeps_templates_documents_and_data_beside_the_code() -> None:
    package = ROOT / "cwconnect"
    assert layout.base_folder(package) == ROOT == settings.BASE_DIR
    assert layout.data_folder(package, {"XDG_DATA_HOME": "/elsewhere"}) == ROOT / "var"


def test_a_wheel_has_them_within_the_package_and_data_with_the_user(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/carol")
    assert layout.base_folder(package) == package
    assert layout.data_folder(package, {}) == Path("/home/carol/.local/share/cwconnect")
    assert layout.data_folder(package, {"XDG_DATA_HOME": "/srv/data"}) == Path("/srv/data/cwconnect")
    assert layout.data_folder(package, {"XDG_DATA_HOME": "data"}) == Path("/home/carol/.local/share/cwconnect")


def test_a_user_without_a_home_is_asked_for_a_folder(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ImproperlyConfigured, match="CWCONNECT_DATA_DIR must be set"):
        layout.data_folder(package, {})


def test_the_folders_that_a_wheel_has_are_those_that_are_looked_for() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["sources"] == {folder: f"cwconnect/{folder}" for folder in ("templates", "docs")}
    assert set(wheel["only-include"]) == {"cwconnect", "instances", "polling", *wheel["sources"]}


def literals(path: Path) -> set[str]:
    """Return the strings of a module, its docstrings apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in words)
    return {node.value for node in strings if isinstance(node.value, str)}


def test_people_are_shown_commands_that_are_there() -> None:
    """A wheel has no manage.py: who names a command takes `PROGRAM`, in a template the tag `program`."""
    modules = [path for room in ("cwconnect", "instances", "polling") for path in (ROOT / room).rglob("*.py")]
    saying = {path for path in modules if any("manage.py" in text for text in literals(path))}
    saying |= {path for path in (ROOT / "templates").rglob("*.html") if "manage.py" in path.read_text(encoding="utf-8")}
    assert {str(path.relative_to(ROOT)) for path in saying} == {"cwconnect/core/layout.py", "instances/audit.py"}


@pytest.mark.parametrize("word", ["--version", "version"])
def test_the_command_says_its_version(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["cwconnect", word])
    assert capsys.readouterr().out == f"cwconnect {__version__}\n"


def test_without_a_checkout_the_installer_knows_what_is_required(tmp_path: Path) -> None:
    def named(pyproject: Path) -> set[str]:
        return {requirement.name.lower() for requirement in requirements(pyproject)}

    assert named(tmp_path / "pyproject.toml") == named(ROOT / "pyproject.toml")
