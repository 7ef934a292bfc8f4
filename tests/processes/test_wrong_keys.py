"""Keys that are missing, wrong or no keys: every way to start says so in a sentence that names them, and ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.management import get_commands, load_command_class

from tests.support.required import lengthy
from tests.support.services import ROOT, environment_of

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

INSTANCE = """
from instances.models import Organization
from tests.support.rows import make_instance
make_instance(Organization.objects.create(name="Alpha"))
"""
STARTS = {
    "up": ("manage.py", "up", "--port", "0"),
    "work": ("manage.py", "work"),
    "a web server": ("-m", "gunicorn", "--bind", "127.0.0.1:0", "cwconnect.wsgi:application"),
    "an asynchronous web server": ("-c", "import cwconnect.asgi"),
    "poll": ("manage.py", "poll"),
}
KEYS = {
    "another": (Fernet.generate_key().decode(), "No key in CWCONNECT_ENCRYPTION_KEYS opens what is stored"),
    "no key": ("0123456789", "Key 1 in CWCONNECT_ENCRYPTION_KEYS is not a Fernet key"),
}
UNCHECKED = {
    "backup": "copies what is there, readable or not",
    "sandbox": "has no database",
    "restore": "the database may be damaged, or its keys missing: hence the restore",
    "licences": "reads packages alone",
}


def run(data: Path, *program: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program],
        cwd=ROOT,
        env=environment_of(data) | (environment or {}),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an instance, whose secrets are kept under the key that was made for it."""
    data = tmp_path_factory.mktemp("stored") / "data"
    made = run(data, "manage.py", "shell", "-v0", "-c", INSTANCE)
    assert made.returncode == 0, made.stderr
    return data


@lengthy
@pytest.mark.parametrize(
    ("start", "keys"), [*((start, "another") for start in STARTS), ("up", "no key"), ("a web server", "no key")]
)
def test_a_wrong_key_ends_every_start_in_words(stored: Path, start: str, keys: str) -> None:
    key, words = KEYS[keys]
    done = run(stored, *STARTS[start], environment={"CWCONNECT_ENCRYPTION_KEYS": key})
    assert done.returncode not in (0, None)
    assert words in done.stdout + done.stderr
    assert key not in done.stdout + done.stderr


@pytest.mark.parametrize("start", ["up", "work", "a web server"])
def test_a_missing_key_beside_a_database_of_ones_own_ends_every_start(tmp_path: Path, start: str) -> None:
    own = {"CWCONNECT_DATABASE_URL": f"sqlite:///{tmp_path}/own.sqlite3", "CWCONNECT_SECRET_KEY": "x" * 60}
    done = run(tmp_path / "data", *STARTS[start], environment=own | {"CWCONNECT_ENCRYPTION_KEYS": ""})
    assert done.returncode not in (0, None)
    assert "CWCONNECT_ENCRYPTION_KEYS must be set" in done.stdout + done.stderr


def test_every_command_runs_the_checks_or_says_why_not() -> None:
    ours = {name: app for name, app in get_commands().items() if app in ("cwconnect", "instances", "polling")}
    assert len(ours) > 12
    unchecked = {
        name for name, app in ours.items() if load_command_class(app, name).requires_system_checks != "__all__"
    }
    assert unchecked == set(UNCHECKED)
