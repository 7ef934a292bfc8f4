"""Every dependency has its reason, its pin and a licence that we may pass on."""

from __future__ import annotations

import io
import json
import re
import runpy
import subprocess
import tomllib
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cwconnect.site.licences import EXTRAS, packages, requirements

PYPROJECT = Path(settings.BASE_DIR) / "pyproject.toml"
PACKAGES = packages(PYPROJECT)
# Licences under which a package may be used by, and installed beside, a service under MIT.
FREE = re.compile(
    r"MIT|BSD|Apache|PSF|Python Software Foundation|ISC|MPL|Mozilla|LGPL|Lesser|Unlicense|Public Domain|0BSD"
)
CONSTRAINTS = (PYPROJECT.parent / "constraints.txt").read_text(encoding="utf-8")
VERSION = re.compile(r"^([\w.-]+)==(\S+)$", re.MULTILINE)


def test_the_list_reaches_what_others_require() -> None:
    names = {package.name.lower() for package in PACKAGES}
    assert {"django", "requests", "urllib3", "certifi", "sqlparse", "cffi"} <= names


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_licence_is_stated_and_free(package: object) -> None:
    licence = getattr(package, "licence", "")
    assert FREE.search(licence), licence or "not stated"


def test_every_package_is_pinned_by_version_alone() -> None:
    assert not {canonicalize_name(package.name) for package in PACKAGES} - {
        canonicalize_name(name) for name, _ in VERSION.findall(CONSTRAINTS)
    }
    assert "://" not in CONSTRAINTS
    assert "@" not in CONSTRAINTS


def test_every_dependency_has_its_reason_beside_it() -> None:
    block = PYPROJECT.read_text(encoding="utf-8").partition("\ndependencies = [")[2].partition("\n]")[0]
    lines = [line for line in block.splitlines() if line.strip()]
    assert [line for line in lines if not re.search(r'",\s+# \S', line)] == []
    assert len(lines) <= len(requirements(PYPROJECT))


def test_the_command_lists_them() -> None:
    said = io.StringIO()
    call_command("licences", stdout=said)
    assert re.search(r"^requests \S+ +Apache", said.getvalue(), re.MULTILINE)
    assert "not stated" not in said.getvalue()


DEPLOY = PYPROJECT.parent / "cwconnect" / "deploy"
LISTED = re.compile(r"([\w.-]+)==(\S+)(?: ; [^\\\n]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt"])
def test_a_list_with_hashes_has_the_pinned_versions_and_nothing_else(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    pins = {canonicalize_name(pin): version for pin, version in VERSION.findall(CONSTRAINTS)}
    listed = {canonicalize_name(each[1]): each[2] for each in LISTED.finditer(text)}
    assert listed.items() <= pins.items(), "run .ci/hashes"
    assert re.fullmatch(r"# .*\n", LISTED.sub("", text))


def test_the_lists_with_hashes_have_every_package_of_an_installation_and_of_a_build() -> None:
    def names(name: str) -> set[str]:
        text = (DEPLOY / name).read_text(encoding="utf-8")
        return {canonicalize_name(each[1]) for each in LISTED.finditer(text)}

    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    backend = project["build-system"]["requires"]
    assert set(EXTRAS) == project["project"]["optional-dependencies"].keys() - {"dev", "docs"}
    assert {canonicalize_name(package.name) for package in PACKAGES} <= names("requirements.txt"), "run .ci/hashes"
    assert {canonicalize_name(Requirement(line).name) for line in backend} <= names("requirements-build.txt")


AUDIT = runpy.run_path(str(PYPROJECT.parent / ".ci" / "audit"))


@pytest.mark.parametrize(
    ("dependencies", "code", "words"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "1 of 1 packages audited, 0 vulnerabilities."),
        (
            [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}, {"skip_reason": "x"}],
            1,
            "a 1: CVE-1, fixed in 2\n1 of 2 packages audited, 1 vulnerabilities.",
        ),
        ([{"name": "a", "skip_reason": "not found"}], 0, "Skipped, nothing was audited"),
    ],
    ids=["sound", "vulnerable", "nothing known"],
)
def test_an_audit_never_passes_for_one_that_was_not_made(
    dependencies: list[dict[str, object]], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert AUDIT["report"](json.dumps({"dependencies": dependencies})) == code
    assert capsys.readouterr().out.startswith(words)


KNOWN = json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}]})
UNKNOWN = json.dumps({"dependencies": [{"name": "a", "skip_reason": "Dependency not found"}]})


@pytest.mark.parametrize(
    ("pypi", "osv", "words"),
    [
        (KNOWN, None, "1 of 1 packages audited"),
        (UNKNOWN, KNOWN, "1 of 1 packages audited"),
        ("", KNOWN, "1 of 1 packages audited"),
        (UNKNOWN, "", "Skipped, nothing was audited: pypi: it knows none of the packages; osv: no way out"),
        ("", "", "Skipped, nothing was audited: pypi: no way out; osv: no way out"),
    ],
)
def test_a_second_source_is_asked_where_the_first_knows_nothing(
    pypi: str, osv: str | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {"pypi": pypi, "osv": osv}

    def ask(source: str) -> subprocess.CompletedProcess[str]:
        output = outputs[source]
        assert output is not None, "it was asked for nothing"
        return subprocess.CompletedProcess([], 0, output, "Traceback …\nno way out\n")

    assert AUDIT["audit"](ask) == 0
    assert capsys.readouterr().out.startswith(words)


SECURITY = re.compile(r"S\d{3}$")
EXCEPTION = re.compile(r"# noqa: ((?:[A-Z]+\d+(?:, )?)+)(.*)$")
ROOMS = ("cwconnect", "instances", "polling", "tests", "docs")


def test_the_rules_of_security_hold_outside_the_tests() -> None:
    lint = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    spared = {files for files, rules in lint["per-file-ignores"].items() if any(map(SECURITY.match, rules))}
    assert "S" in lint["select"]
    assert [rule for rule in lint["ignore"] if SECURITY.match(rule)] == []
    assert spared == {"tests/**"}


def test_every_exception_from_the_rules_of_security_says_why() -> None:
    root = PYPROJECT.parent
    files = [
        root / ".ci" / "audit",
        root / ".ci" / "hashes",
        *(path for room in ROOMS for path in (root / room).rglob("*.py")),
    ]
    found = [
        (path, exception)
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if (exception := EXCEPTION.search(line)) and any(map(SECURITY.match, exception[1].split(", ")))
    ]
    assert len(found) > 10
    assert [f"{path}: {exception[0]}" for path, exception in found if not exception[2].strip()] == []
