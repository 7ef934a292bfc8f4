"""The folder of scheduled backups: what is in it, which go, and what is wrong. Knows files alone.

A backup is known by its name, which says when it was taken; what became of the last try is kept beside the database.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_NAME = re.compile(r"cwconnect-(\d{8}T\d{6}Z)\.sqlite3(\.sealed)?")
_DRAFT = re.compile(r"\..+\.(\d+)(-wal|-shm|-journal)?")
_FORM = "%Y%m%dT%H%M%SZ"
_STATE = "backup-state.json"
_AHEAD = timedelta(hours=1)  # a clock that was ahead for a while must not end all backups
KEYS = ".keys"


@dataclass(frozen=True)
class Taken:
    """A backup in the folder."""

    file: Path
    at: datetime
    size: int


@dataclass(frozen=True)
class LastTry:
    """What became of the last try: when it began and, if it failed, why; `warned` once the operator was sent that."""

    began_at: datetime | None = None
    error: str = ""
    warned: str = ""


def name_of(now: datetime, *, sealed: bool) -> str:
    """Return the name of a backup that is taken now."""
    return f"cwconnect-{now.astimezone(UTC):{_FORM}}.sqlite3{'.sealed' if sealed else ''}"


def taken_in(folder: Path, now: datetime) -> list[Taken]:
    """Return the backups in a folder, the newest first, without those of the future; OSError."""
    if not folder.exists():
        return []
    found = []
    for file in folder.iterdir():
        if match := _NAME.fullmatch(file.name):
            at = datetime.strptime(match[1], _FORM).replace(tzinfo=UTC)
            if at <= now + _AHEAD:
                found.append(Taken(file, at, file.stat().st_size))
    return sorted(found, key=lambda taken: taken.at, reverse=True)


def remove_older(folder: Path, keep: int, now: datetime) -> list[Path]:
    """Remove all but the newest `keep` backups, and the keys beside them; return what went."""
    gone = [taken.file for taken in taken_in(folder, now)[keep:]]
    for file in gone:
        file.unlink(missing_ok=True)
    for keys in folder.glob(f"cwconnect-*{KEYS}"):
        if not keys.with_name(keys.name.removesuffix(KEYS)).exists():
            keys.unlink(missing_ok=True)
    return gone


def remove_drafts(folder: Path, beginning: str) -> None:
    """Remove drafts `.BEGINNING….PID` whose process is gone: it was killed, and what it wrote is no backup."""
    for file in folder.glob(f".{beginning}*"):
        match = _DRAFT.fullmatch(file.name)
        if match and not _lives(int(match[1])):
            file.unlink(missing_ok=True)


def last_try(data: Path) -> LastTry:
    """Return what became of the last try; of a state that can't be read, nothing."""
    try:
        state = json.loads((data / _STATE).read_text(encoding="utf-8"))
        began_at = datetime.fromisoformat(state["began_at"]) if state["began_at"] else None
        return LastTry(began_at, str(state["error"]), str(state["warned"]))
    except (OSError, ValueError, KeyError, TypeError):
        return LastTry()


def state_of(tried: LastTry) -> tuple[str, str]:
    """Return the name and the content of the file that `last_try` reads."""
    began_at = tried.began_at.isoformat() if tried.began_at else ""
    state: dict[str, Any] = {"began_at": began_at, "error": tried.error, "warned": tried.warned}
    return _STATE, json.dumps(state)


def problem(folder: Path | None, data: Path, every: timedelta, now: datetime) -> str:
    """Say what is wrong with the scheduled backups; empty if nothing is, or none are wanted."""
    if folder is None:
        return ""
    tried = last_try(data)
    try:
        found = taken_in(folder, now)
    except OSError as error:
        return f"The folder of backups can't be read: {error.strerror}."
    last = f"The last good one is of {found[0].at:%d %b %Y, %H:%M} UTC." if found else "There is none yet."
    if tried.error:
        return f"The backup failed: {tried.error} {last}"
    if found and now - found[0].at > 2 * every:
        return f"No backup was taken for {(now - found[0].at).total_seconds() / 3600:,.0f} hours. {last}"
    if not found and tried.began_at and now - tried.began_at > every:
        return f"No backup came to its end. {last}"
    return ""


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
