"""Code of versions before, taken out of the repository's history, and run as real workers."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.services import ROOT, Service, wait_until
from tests.upgrades.upgrading import Upgrade

# By release: the commit that its dump is of, and one of the version that its last migration that needs a stop leaves.
# A release whose upgrade needs no stop names its own commit twice.
COMMITS = {"0.1.0": ("a530041", "dc7f2e9")}
# What the pages of versions before were made of, and this environment lacks: a worker wants it to be there, no more.
_NO_LONGER_INSTALLED = ("drf_spectacular_sidecar",)
# The environment's own installation leads to this version's code; the code of another must find nothing of it.
_ALONE = """
import sys
sys.meta_path = [one for one in sys.meta_path if "editable" not in f"{one.__module__}{getattr(one, '__name__', '')}"]
"""


def take_out(commit: str, folder: Path) -> Path:
    """Write the code of a commit below `folder`; skip the test where the history is not there."""
    command = [
        "git",
        "archive",
        commit,
        "cwconnect",
        "instances",
        "polling",
        "templates",
        "manage.py",
        "tests/settings.py",
    ]
    done = subprocess.run([*command, "tests/__init__.py"], cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip("the repository's history is not here")
    root = folder / commit
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(root, filter="data")
    (root / "sitecustomize.py").write_text(_ALONE)
    for package in _NO_LONGER_INSTALLED:
        (root / f"{package}.py").touch()
    return root


def _alone(root: Path) -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(root), "CWCONNECT_WORKERS": "1"}


def migrate_by(root: Path, upgrade: Upgrade) -> None:
    """Migrate as far as that code knows."""
    command, environment = [sys.executable, "manage.py", "migrate", "-v0"], upgrade.environment | _alone(root)
    subprocess.run(command, cwd=root, env=environment, check=True, timeout=150)


@contextmanager
def working(root: Path, data: Path) -> Iterator[Service]:
    """Run that code's worker, and stop it as an operator does."""
    with Service(data, "manage.py", "work", environment=_alone(root), root=root) as service:
        yield service
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: service.process.poll() is not None, 60, "the end of the worker", lambda: service.output)
