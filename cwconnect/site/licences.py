"""The packages that the service runs on, and their licences, as the packages themselves state them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("postgresql", "redis", "tracing")
_CLASSIFIER = "License :: "


@dataclass(frozen=True)
class Package:
    """An installed package; `licence` is empty if it states none."""

    name: str
    version: str
    licence: str


def requirements(pyproject: Path) -> list[Requirement]:
    """Return what the service itself requires, with what its extras do: by a checkout's file, else as installed."""
    if not pyproject.is_file():
        return list(_required_by(distribution("cwconnect"), set(EXTRAS)))
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in EXTRAS for line in project["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


def packages(pyproject: Path) -> list[Package]:
    """Return all packages that are installed for the service, those required by others too, by name."""
    found: dict[str, Package] = {}
    waiting = requirements(pyproject)
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in found:
            continue
        try:
            installed = distribution(wanted.name)
        except PackageNotFoundError:  # an extra that is not installed here
            continue
        found[name] = Package(installed.name, installed.version, licence_of(installed))
        waiting += _required_by(installed, wanted.extras)
    return sorted(found.values(), key=lambda package: package.name.lower())


def _required_by(installed: Distribution, extras: set[str]) -> Iterator[Requirement]:
    for line in installed.requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def licence_of(installed: Distribution) -> str:
    """Return a package's licence: its expression, else its classifiers, else the first line of its text."""
    stated = installed.metadata
    if expressions := stated.get_all("License-Expression"):
        return str(expressions[0])
    classifiers = [
        line.rpartition(" :: ")[2] for line in stated.get_all("Classifier") or () if line.startswith(_CLASSIFIER)
    ]
    if classifiers:
        return ", ".join(classifiers)
    lines = "\n".join(stated.get_all("License") or ()).strip().splitlines()
    return lines[0][:60] if lines else ""
