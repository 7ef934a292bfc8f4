"""Every dependency has its reason, its pin and a licence that we may pass on."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from packaging.utils import canonicalize_name

from cwconnect.licences import packages, requirements

PYPROJECT = Path(settings.BASE_DIR) / "pyproject.toml"
PACKAGES = packages(PYPROJECT)
# Licences under which a package may be used by, and installed beside, a service under MIT.
FREE = re.compile(
    r"MIT|BSD|Apache|PSF|Python Software Foundation|ISC|MPL|Mozilla|LGPL|Lesser|Unlicense|Public Domain|0BSD"
)
PIN = re.compile(r"^([\w.-]+)==\S+$", re.MULTILINE)


def test_the_list_reaches_what_others_require() -> None:
    names = {package.name.lower() for package in PACKAGES}
    assert {"django", "requests", "urllib3", "certifi", "sqlparse", "cffi"} <= names


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_licence_is_stated_and_free(package: object) -> None:
    licence = getattr(package, "licence", "")
    assert FREE.search(licence), licence or "not stated"


def test_every_package_is_pinned_by_version_alone() -> None:
    text = (PYPROJECT.parent / "constraints.txt").read_text(encoding="utf-8")
    assert not {canonicalize_name(package.name) for package in PACKAGES} - {
        canonicalize_name(name) for name in PIN.findall(text)
    }
    assert "://" not in text
    assert "@" not in text


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
