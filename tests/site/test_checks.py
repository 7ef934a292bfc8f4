"""System checks: each is made to fail, and a production's settings pass them all."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import certifi
import pytest
from cryptography.fernet import Fernet
from django.conf import settings as ours
from django.core.checks import CheckMessage
from django.core.checks.registry import registry
from django.db import OperationalError, connection
from pytest_django import Settings

from cwconnect.site.checks import (
    check_encryption_keys,
    check_exposure,
    check_sqlite,
    check_stored_secrets,
    check_urls,
)
from instances.models import Organization
from tests.support.rows import make_instance


def ids(problems: list[CheckMessage]) -> list[str | None]:
    return [problem.id for problem in problems]


def manage(data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the service as an operator would, with settings of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CWCONNECT_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ours.BASE_DIR,
        env=kept | {"CWCONNECT_DATA_DIR": str(data)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        umask=0o022,  # as people and init systems have it
    )


def test_settings_of_a_production_pass_every_check(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    done = manage(
        tmp_path, "check", "--deploy", "--fail-level", "WARNING", CWCONNECT_PUBLIC_URL="https://events.example.com"
    )
    assert (done.returncode, "no issues" in done.stdout + done.stderr) == (0, True), done.stderr


def test_settings_of_a_newcomer_are_warned_of_at_deployment(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    done = manage(tmp_path, "check", "--deploy", CWCONNECT_ALLOWED_HOSTS="*")
    assert all(f"cwconnect.W00{number}" in done.stderr for number in (1, 2, 3))


def test_a_key_that_is_none_is_an_error_at_start(tmp_path: Path) -> None:
    done = manage(tmp_path, "up", CWCONNECT_ENCRYPTION_KEYS="not a key")
    assert done.returncode == 1
    assert "Key 1 in CWCONNECT_ENCRYPTION_KEYS is not a Fernet key" in done.stderr
    assert "not a key" not in done.stderr.replace("is not a Fernet key", "")


def test_a_missing_key_beside_an_own_database_is_an_error_that_names_it(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", CWCONNECT_DATABASE_URL="sqlite:///:memory:", CWCONNECT_SECRET_KEY="x" * 60)
    assert done.returncode == 1
    assert "CWCONNECT_ENCRYPTION_KEYS must be set" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CWCONNECT_RETENTION_DAYS", "abc", "CWCONNECT_RETENTION_DAYS must be a whole number"),
        ("CWCONNECT_TIME_ZONE", "Mars", "CWCONNECT_TIME_ZONE must name a time zone"),
        ("CWCONNECT_DATA_DIR", "/dev/null/data", "CWCONNECT_DATA_DIR: CWCONNECT_SECRET_KEY can't be kept"),
    ],
)
def test_a_wrong_setting_is_said_in_a_sentence(tmp_path: Path, name: str, value: str, said: str) -> None:
    done = manage(tmp_path, "up", **{name: value})
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_setting_is_warned_of(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", CWCONNECT_RETENTIONDAYS="3", CWCONNECT_WORKERS_FILE=str(_two(tmp_path)))
    assert done.returncode == 0
    assert "There is no setting CWCONNECT_RETENTIONDAYS." in done.stderr
    assert "CWCONNECT_WORKERS" not in done.stderr


def _two(folder: Path) -> Path:
    file = folder / "workers"
    file.write_text("2")
    return file


def test_the_second_key_is_looked_at_too(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), "short"]
    (problem,) = check_encryption_keys()
    assert problem.id == "cwconnect.E003"
    assert problem.msg.startswith("Key 2")


def test_keys_that_open_what_is_stored_are_well(organization: Organization) -> None:
    make_instance(organization)
    assert check_stored_secrets() == []


def test_a_replaced_key_is_an_error(organization: Organization, settings: Settings) -> None:
    make_instance(organization)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    (problem,) = check_stored_secrets()
    assert problem.id == "cwconnect.E004"
    assert "instances_instance" in problem.msg
    assert "encryption_keys" in str(problem.hint)


def test_an_old_key_after_a_new_one_is_well(organization: Organization, settings: Settings) -> None:
    make_instance(organization)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]
    assert check_stored_secrets() == []


@pytest.mark.django_db
def test_a_database_that_is_not_migrated_has_other_worries() -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("no such table: instances_instance")

    with connection.execute_wrapper(refuse):
        assert check_stored_secrets() == []


@pytest.mark.parametrize("name", ["HEARTBEAT_URL", "OPERATOR_WEBHOOK_URL"])
def test_a_url_that_can_not_be_called_is_named_and_not_shown(settings: Settings, name: str) -> None:
    setattr(settings, name, "https://bob:hunter22@example.com/")
    (problem,) = check_urls()
    assert problem.id == "cwconnect.E006"
    assert name in problem.msg
    assert "hunter22" not in problem.msg


@pytest.mark.parametrize(
    ("version", "engine", "said"),
    [
        ((3, 34, 1), "cwconnect.core.even_sqlite3", ["cwconnect.E007"]),
        ((3, 35, 0), "cwconnect.core.even_sqlite3", []),
        ((3, 34, 1), "django.db.backends.postgresql", []),
    ],
)
def test_a_sqlite_that_is_too_old_is_an_error_at_start(
    version: tuple[int, int, int],
    engine: str,
    said: list[str],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", engine)
    problems = check_sqlite()
    assert ids(problems) == said
    assert check_sqlite in registry.get_checks()
    assert all("3.35.0 or newer" in problem.msg and "has 3.34.1" in problem.msg for problem in problems)


def test_a_door_that_is_open_to_the_world_is_warned_of(settings: Settings, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "http://x.example", ["*"]
    settings.EMBEDDED, settings.DATA_DIR = True, tmp_path
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/24"), ip_network("0.0.0.0/0")]
    assert ids(check_exposure()) == ["cwconnect.W001", "cwconnect.W002", "cwconnect.W006", "cwconnect.W003"]


@pytest.mark.parametrize(
    "content", [None, b"", b"no certificate", b"\xff\xfe\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n"]
)
def test_a_file_of_authorities_that_cannot_be_read_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    done = manage(tmp_path / "data", "check", CWCONNECT_CA_FILE=str(file))
    assert done.returncode == 1
    assert "CWCONNECT_CA_FILE names a file that can't be read as certificates" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_of_authorities_is_taken_without_a_warning(tmp_path: Path) -> None:
    done = manage(tmp_path / "data", "check", CWCONNECT_CA_FILE=certifi.where())
    assert (done.returncode, "CWCONNECT_CA" in done.stderr) == (0, False)


def test_what_a_command_writes_is_its_owners_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    data.chmod(0o755)  # as systemd's StateDirectory= makes it
    assert manage(data, "migrate", "contenttypes", "-v0").returncode == 0
    assert {file.name for file in data.iterdir()} >= {"cwconnect.sqlite3", "secret_key"}
    assert [file.name for file in data.iterdir() if file.stat().st_mode & 0o077] == []
    for file in data.iterdir():
        file.chmod(0o644)
    said = manage(data, "check").stderr
    for name in ("cwconnect.sqlite3", "secret_key", "encryption_keys"):
        assert f"Others on this machine can read {data / name}, which" in said


@pytest.mark.parametrize("unit", ["cwconnect.service", "cwconnect-work.service"])
def test_units_keep_the_data_folder_from_others(unit: str) -> None:
    text = (Path(ours.BASE_DIR) / "cwconnect" / "deploy" / unit).read_text(encoding="utf-8")
    assert {"UMask=0077", "StateDirectoryMode=0700"} <= set(text.splitlines())
