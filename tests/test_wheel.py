"""What a release is made of: all that the service reads and nothing of whoever built it, the same bytes every time."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from cwconnect import __version__

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cwconnect", "instances", "polling")
MAPPED = ("templates", "docs")
PLANTED = (
    *(
        ".env",
        "var/secret_key",
        "var/cwconnect.sqlite3",
        "server.pem",
        "notes.txt",
        ".env.production",
        "dist/old.whl",
        "tests/test_a.py",
    ),
    *("cwconnect/deploy/tls.key", "cwconnect/deploy/.env", "cwconnect/secret_key", "docs/encryption_keys"),
    *("templates/cwconnect.sqlite3-wal", "instances/__pycache__/models.pyc", "polling/.env.production"),
)
AT_THE_TOP = ("*.md", "*.py", "*.toml", "*.y*ml", "constraints.txt", "LICENSE", "Dockerfile", ".env.example")
MADE_AT = "1790000000"  # seconds since 1970


@dataclass(frozen=True)
class Release:
    """A wheel and an sdist, with the names of what is within."""

    wheel: Path
    sdist: Path

    @property
    def in_wheel(self) -> set[str]:
        return set(zipfile.ZipFile(self.wheel).namelist())

    @property
    def in_sdist(self) -> set[str]:
        with tarfile.open(self.sdist) as archive:
            return {name.partition("/")[2] for name in archive.getnames()}


def built_in(folder: Path, *, umask: int) -> Release:
    """Build from a copy of the checkout in which things lie about that are nobody's business."""
    copy = folder / "checkout"
    copy.mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copyfile(path, copy / path.name)
        elif path.name in (*PACKAGES, *MAPPED, ".ci"):
            shutil.copytree(
                path, copy / path.name, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copy
            )
    for name in PLANTED:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("s3cret")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(copy)],
        env=os.environ | {"SOURCE_DATE_EPOCH": MADE_AT},
        capture_output=True,
        text=True,
        umask=umask,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    named = folder / "dist" / f"cwconnect-{__version__}"
    return Release(named.with_name(f"{named.name}-py3-none-any.whl"), named.with_name(f"{named.name}.tar.gz"))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return built_in(tmp_path_factory.mktemp("release"), umask=0o022)


def files_of(folder: str) -> set[str]:
    """Return the files of the checkout that the service may read, Python's own leavings apart."""
    paths = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in paths}


def test_the_wheel_has_every_module_template_asset_migration_and_document_and_nothing_else(release: Release) -> None:
    expected = {name for package in PACKAGES for name in files_of(package)}
    expected |= {f"cwconnect/{name}" for folder in MAPPED for name in files_of(folder)}
    info = f"cwconnect-{__version__}.dist-info/"
    assert len(expected) > 600
    assert {name for name in release.in_wheel if not name.startswith(info)} == expected


def test_the_sdist_has_what_a_checkout_is_built_and_documented_by(release: Release) -> None:
    expected = {name for folder in (*PACKAGES, *MAPPED) for name in files_of(folder)}
    expected |= {path.name for pattern in AT_THE_TOP for path in ROOT.glob(pattern)}
    assert {"README.md", "pyproject.toml", "constraints.txt", "manage.py", "LICENSE"} <= expected
    assert release.in_sdist == expected | {"PKG-INFO", ".gitignore"}


def test_nothing_of_whoever_built_it_is_in_either(release: Release) -> None:
    planted = {*PLANTED, *(f"cwconnect/{name}" for name in PLANTED)}
    assert (release.in_wheel | release.in_sdist) & planted == set()
    with zipfile.ZipFile(release.wheel) as archive:
        assert [name for name in archive.namelist() if archive.read(name) == b"s3cret"] == []


def test_another_machine_builds_the_same_bytes(release: Release, tmp_path: Path) -> None:
    again = built_in(tmp_path, umask=0o077)
    for one, other in ((release.wheel, again.wheel), (release.sdist, again.sdist)):
        assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest(), one.name


def test_what_it_says_of_itself(release: Release) -> None:
    with zipfile.ZipFile(release.wheel) as archive:
        info = f"cwconnect-{__version__}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        assert (
            archive.read(f"{info}/entry_points.txt").decode()
            == "[console_scripts]\ncwconnect = cwconnect.command:main\n"
        )
        assert f"{info}/licenses/LICENSE" in archive.namelist()
    assert f"\nVersion: {__version__}\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
