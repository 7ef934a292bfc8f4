"""The documented backup of PostgreSQL, its dry run and its restore: exactly the commands of operations.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from cryptography.fernet import Fernet

from tests.site.test_backup_dry_run import FILL
from tests.support.required import SERVICES_REQUIRED, lengthy
from tests.support.services import ROOT

SERVER = os.environ.get("CWCONNECT_DATABASE_URL", "")
DATABASE = "cwconnect_documented"
EVENT = "SELECT nextval('polling_event_ids')"


def documented() -> list[str]:
    """Return the blocks of commands of the section: to back up, to try, to restore."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.partition("\n### PostgreSQL\n")[2].partition("\n## ")[0]
    return re.findall(r"\n```sh\n(.*?)```", section, re.DOTALL)


def url_of(database: str) -> str:
    return urlunsplit(urlsplit(SERVER)._replace(path=f"/{database}"))


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    if not SERVER.startswith("postgres") or shutil.which("pg_dump") is None:
        assert not SERVICES_REQUIRED or not SERVER, "CI has PostgreSQL's programs"
        pytest.skip("CWCONNECT_DATABASE_URL names no PostgreSQL, or its programs are not here")
    own = {
        "CWCONNECT_DATABASE_URL": url_of(DATABASE),
        "MAINTENANCE_URL": url_of("postgres"),
        "DRY_RUN_URL": url_of(f"{DATABASE}_dry_run"),
        "DATABASE": DATABASE,
        "CWCONNECT_SECRET_KEY": "k" * 60,
        "CWCONNECT_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "CWCONNECT_DATA_DIR": str(tmp_path / "data"),
        "DJANGO_SETTINGS_MODULE": "cwconnect.settings",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CWCONNECT_")}
    drop(own)
    sql(own, f"CREATE DATABASE {DATABASE}", of="MAINTENANCE_URL")
    yield kept | own
    drop(own)


def drop(environment: dict[str, str]) -> None:
    for name in (DATABASE, f"{DATABASE}_before", f"{DATABASE}_dry_run"):
        sql(environment, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", of="MAINTENANCE_URL")


def sql(environment: dict[str, str], statement: str, *, of: str = "CWCONNECT_DATABASE_URL") -> str:
    return run(environment, f'psql -qAt "${of}" -c "{statement}"').strip()


def run(environment: dict[str, str], commands: str, *, fails: bool = False) -> str:
    given = os.environ | environment
    done = subprocess.run(["sh", "-euc", commands], env=given, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode != 0) is fails, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@lengthy
def test_what_was_dumped_as_documented_is_tried_and_restored(environment: dict[str, str], tmp_path: Path) -> None:
    back_up, dry_run, restore = (block.replace("cwconnect.dump", str(tmp_path / "dump")) for block in documented())
    run(environment, f"cwconnect migrate -v0\ncwconnect shell --no-imports -c '{FILL}'")
    run(environment, back_up)
    before = int(sql(environment, EVENT))
    sql(environment, "UPDATE instances_organization SET name = 'After the backup'")
    run(environment, dry_run)
    lost = {**environment, "CWCONNECT_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    assert "cwconnect.E004" in run(lost, dry_run, fails=True)
    sql(environment, f"DROP DATABASE {DATABASE}_dry_run", of="MAINTENANCE_URL")
    assert sql(environment, "SELECT name FROM instances_organization") == "After the backup", "nothing was changed"
    run(environment, restore)
    assert sql(environment, "SELECT name FROM instances_organization") == "Alpha"
    assert int(sql(environment, EVENT)) > before + 500_000_000
    assert sql(environment, "SELECT count(*) FROM django_session") == "0"
    kept = {**environment, "CWCONNECT_DATABASE_URL": url_of(f"{DATABASE}_before")}
    assert sql(kept, "SELECT name FROM instances_organization") == "After the backup"


def test_the_documents_hold_the_three_blocks() -> None:
    assert ["pg_dump" in block for block in documented()] == [True, False, False]
    assert all("pg_restore" in block for block in documented()[1:])
    assert "cwconnect restored" in documented()[2]
