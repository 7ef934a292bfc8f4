"""Whatever the service writes in a whole life is its owner's alone, in a folder that everybody may look into."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cwconnect.core.processes import Child
from cwconnect.site.demo import free_port
from tests.support.required import lengthy
from tests.support.services import ROOT, environment_of, manage, wait_until

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(os.environ.get("CWCONNECT_DATABASE_URL")), reason="the embedded default alone keeps files"),
]


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    """Have processes start as people and init systems start them: what they make is open to all unless they care."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A data folder as systemd's StateDirectory= makes it without more."""
    (folder := tmp_path / "data").mkdir()
    folder.chmod(0o755)
    return folder


def files(*folders: Path) -> set[str]:
    """Return the names of all files there; none of them may be open to others."""
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert [f"{path.name}: {path.stat().st_mode:o}" for path in found if path.stat().st_mode & 0o077] == []
    return {path.name for path in found}


def run(folder: Path, *arguments: str) -> str:
    """Run a program of the service to its end; give what it prints. It must not fail."""
    command = [sys.executable, *arguments]
    env = environment_of(folder, tables=False) | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@lengthy
def test_all_files_of_a_life_are_the_owners_alone(open_folder: Path, tmp_path: Path) -> None:
    database, copies = open_folder / "cwconnect.sqlite3", tmp_path / "copies"
    copies.mkdir(mode=0o755)
    (copies / "copy").touch(mode=0o644)
    with manage(open_folder, "up", "--port", str(free_port()), tables=False) as up:
        wait_until(lambda: "cwconnect is up" in up.output, 90, "up", lambda: up.output)
        up.wait_for_roles()
        running = files(open_folder)
        run(open_folder, "manage.py", "backup", str(copies / "copy"), "--replace", "--with-keys")
        up.process.terminate()
        assert up.ends_within(20) == 0
    assert running >= {"cwconnect.sqlite3", "cwconnect.sqlite3-wal", "cwconnect.sqlite3-shm", "secret_key"}
    assert running >= {"encryption_keys", "in-use.lock", "work-1.lock"}
    assert files(copies) == {"copy", "copy.keys"}

    database.chmod(0o644)  # as an earlier version made it
    run(open_folder, "manage.py", "restore", str(copies / "copy"), "--with-keys")
    assert any("before-restore" in name for name in files(open_folder))

    database.write_bytes(b"damaged")
    for suffix in ("", "-wal", "-shm"):
        (beside := Path(f"{database}{suffix}")).touch()
        beside.chmod(0o644)
    run(open_folder, "manage.py", "restore", str(copies / "copy"))
    assert sum("before-restore" in name for name in files(open_folder)) > 2

    run(open_folder, "manage.py", "rotate_keys", "--add-key")
    run(open_folder, "manage.py", "prune")
    files(open_folder)


PROGRAM = "import django as d; d.setup(); from django.core.management import call_command as c; c('migrate', '-v0')"
STARTS = {
    "Django's own command line": ("-m", "django", "migrate", "-v0"),
    "a program of one's own": ("-c", PROGRAM),
}


@lengthy
@pytest.mark.parametrize("start", STARTS)
def test_who_starts_it_otherwise_makes_no_file_for_others(open_folder: Path, start: str) -> None:
    run(open_folder, *STARTS[start])
    assert files(open_folder) >= {"cwconnect.sqlite3", "secret_key", "encryption_keys"}


def test_a_web_server_of_ones_own_makes_no_file_for_others(open_folder: Path, tmp_path: Path) -> None:
    bind, home = f"unix:{tmp_path}/web.sock", tmp_path / "home"
    arguments = ["-m", "gunicorn", "--no-control-socket", "--bind", bind, "cwconnect.wsgi:application"]
    web = Child(arguments, environment=environment_of(open_folder, tables=False) | {"HOME": str(home)})
    try:
        # What it asks of the database that is not there yet makes its file.
        wait_until((open_folder / "in-use.lock").exists, 60, "the web")
        assert files(open_folder) >= {"cwconnect.sqlite3", "in-use.lock"}
    finally:
        web.stop(5)
