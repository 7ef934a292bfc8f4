"""Where the service under fire keeps its rows: SQLite on a small disk, or PostgreSQL and Redis, each of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tests.long.faults.kept_processes import Kept
from tests.long.faults.ports import accepts, free_port

_DISK_MB = 3072  # an hour's rows under the long run's load


class Storage(ABC):
    """What is under the service; `kept` are its processes."""

    def __init__(self, run: Path, environment: dict[str, str]) -> None:
        self.run, self.data = run, run / "data"
        self.data.mkdir()
        self.environment = environment
        self.kept: dict[str, Kept] = {}

    @abstractmethod
    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query, past the service."""

    @abstractmethod
    def close(self) -> None:
        """Leave nothing behind."""


class Embedded(Storage):
    """SQLite in the data folder: on a tmpfs of its own where we may mount one, so that the disk can be filled."""

    def __init__(self, run: Path, environment: dict[str, str]) -> None:
        super().__init__(run, environment)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m,mode=700", "cwconnect-faults", str(self.data)]
        self.own_disk = sys.platform == "linux" and os.geteuid() == 0 and _succeeds(mount)
        self.ballast = self.data / "ballast"

    @property
    def file(self) -> Path:
        """The database."""
        return self.data / "cwconnect.sqlite3"

    def fill_disk(self) -> None:
        """Leave not a byte free."""
        with self.ballast.open("ab", buffering=0) as file:
            free = os.statvfs(self.data).f_bavail * os.statvfs(self.data).f_frsize
            with suppress(OSError):  # somebody else was quicker
                os.posix_fallocate(file.fileno(), file.tell(), max(1, free))
        with self.ballast.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 12))

    def disk_is_full(self) -> bool:
        """Whether a page can't be written."""
        probe = self.data / "probe"
        try:
            probe.write_bytes(bytes(1 << 12))
        except OSError:
            return True
        finally:
            probe.unlink(missing_ok=True)
        return False

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file, timeout=20)) as database:
            return database.execute(query).fetchall()

    def close(self) -> None:
        if self.own_disk:
            subprocess.run(["umount", "--lazy", str(self.data)], check=True)


class Servers(Storage):
    """PostgreSQL and Redis, started here on free ports."""

    def __init__(self, run: Path, environment: dict[str, str]) -> None:
        super().__init__(run, environment)
        self.database_port, self.redis_port = ports = free_port(), free_port()
        self.url = f"postgres://cwconnect@127.0.0.1:{self.database_port}/postgres"
        self.redis_url = f"redis://127.0.0.1:{self.redis_port}/0"
        environment |= {"CWCONNECT_DATABASE_URL": self.url, "CWCONNECT_REDIS_URL": self.redis_url}
        self.kept = {"postgresql": self._postgresql(self.database_port), "redis": self._redis(self.redis_port)}
        for server in self.kept.values():
            server.tend()
        end = time.monotonic() + 30
        while not all(accepts(port) for port in ports):
            assert time.monotonic() < end, "PostgreSQL or Redis did not start"
            time.sleep(0.1)

    def _postgresql(self, port: int) -> Kept:
        folder = self.run / "postgresql"
        folder.mkdir()
        command = ["setpriv", "--pdeathsig", "INT"]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            owner = pwd.getpwnam("postgres" if _succeeds(["id", "postgres"]) else "nobody")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            command += [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        make = ["-D", "data", "-U", "cwconnect", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run([*command, _program("initdb"), *make], cwd=folder, check=True, capture_output=True)
        # fsync is for the death of the machine; here processes die.
        options = [
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={folder}",
            "fsync=off",
            "max_connections=200",
        ]
        serve = ["-D", "data", "-p", str(port), *(part for option in options for part in ("-c", option))]
        log = self.run / "postgresql.log"
        environment = {"PATH": os.environ["PATH"]}
        return Kept(
            "postgresql", [*command, _program("postgres"), *serve], environment=environment, log=log, cwd=folder
        )

    def _redis(self, port: int) -> Kept:
        serve = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self.run)]
        command = ["setpriv", "--pdeathsig", "KILL", _program("redis-server"), *serve]
        return Kept("redis", command, environment={"PATH": os.environ["PATH"]}, log=self.run / "redis.log")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.url, connect_timeout=5) as connection:
            return connection.execute(query.encode()).fetchall()

    def flush_redis(self) -> bool:
        """Empty Redis; whether it is empty now."""
        import redis

        try:
            with redis.from_url(self.redis_url, socket_timeout=2) as client:
                return bool(client.flushall())
        except redis.RedisError:  # it is down already
            return False

    def close(self) -> None:
        self.kept["postgresql"].end(signal.SIGINT)
        self.kept["redis"].end(signal.SIGTERM)


def servers_found() -> bool:
    """Whether the programs that `Servers` starts are on this machine."""
    return all(_program(name) for name in ("postgres", "initdb", "redis-server", "setpriv"))


def _program(name: str) -> str:
    # Debian keeps PostgreSQL's programs out of the path.
    found = shutil.which(name)
    return found or next((str(path) for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), "")


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
