"""Backups by schedule, of the embedded database: a periodic job looks each minute, a process of its own takes one.

It is no task of the queue: a large database takes longer than a task may, and polls and deliveries go on beside it.
Killed, it leaves a draft that the next one removes, and is tried again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from cwconnect.core import backup_folder, env
from cwconnect.core.backup_folder import LastTry, last_try, name_of, problem, remove_drafts, remove_older, taken_in
from cwconnect.site import backup, key_backup
from polling.alerts.sending import AlertSendError, mail_server, post, send_mail

log = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(minutes=10)  # a try that failed or was killed
_COMMAND = ("-m", "django", "backup", "--scheduled")
_begun: list[subprocess.Popen[bytes]] = []


class UnderWayError(Exception):
    """Another process takes a scheduled backup."""


def look_after_backups(now: datetime) -> bool:
    """Begin a backup if one is due, and warn of what is wrong; give whether one was begun."""
    if settings.BACKUP_FOLDER is None or not settings.ON_SQLITE:
        return False
    _warn(now)
    if not is_due(now):
        return False
    _note(replace(last_try(settings.DATA_DIR), began_at=now))
    _start()
    return True


def is_due(now: datetime) -> bool:
    """Return whether a backup is to be begun: the last one is old, and so is the last try."""
    began_at = last_try(settings.DATA_DIR).began_at
    if began_at is not None and timedelta() <= now - began_at < min(AGAIN_AFTER, settings.BACKUP_EVERY):
        return False
    try:
        found = taken_in(_folder(), now)
    except OSError:
        return True  # the try says why it can't be had
    return not found or found[0].at + settings.BACKUP_EVERY <= now


def take_scheduled(database: Path, now: datetime) -> Path:
    """Take a backup of the database into the folder, verify it, then remove the older ones.

    Why it failed, a BackupError mostly, is kept for those who look. With a passphrase the keys come along, sealed too:
    that and the passphrase are all that a new machine needs.
    """
    folder, sealed = _folder(), bool(settings.BACKUP_PASSPHRASE)
    with _alone(settings.DATA_DIR):
        _note(replace(last_try(settings.DATA_DIR), began_at=now))
        file = folder / name_of(now, sealed=sealed)
        try:
            env.make_folder("CWCONNECT_BACKUP_FOLDER", folder)
            remove_drafts(folder, "cwconnect-")
            if sealed and key_backup.are_kept():
                key_backup.copy(settings.DATA_DIR, file, passphrase=settings.BACKUP_PASSPHRASE)
            backup.take(database, file, now, passphrase=settings.BACKUP_PASSPHRASE)
            gone = remove_older(folder, settings.BACKUP_KEEP, now)
        except Exception as error:
            _note(LastTry(now, str(error), last_try(settings.DATA_DIR).warned))
            raise
        _note(LastTry(now))
    size = file.stat().st_size / 1e6
    log.info("Backup %s was taken and verified, %.1f MB; older ones removed: %s.", file, size, len(gone))
    return file


def _folder() -> Path:
    return Path(settings.BACKUP_FOLDER or "")


def _start() -> None:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    handed_down = {"PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"]}
    # In the cluster's process group, so that it ends with that. Nobody waits for it; one that has ended is let go.
    _begun[:] = [process for process in _begun if process.poll() is None]
    _begun.append(
        subprocess.Popen(  # noqa: S603  (the arguments are our own, no shell reads them)
            [sys.executable, *_COMMAND], env=os.environ | handed_down, stdin=subprocess.DEVNULL
        )
    )


def _warn(now: datetime) -> None:
    """Send the operator what is wrong, once for each thing, and log it."""
    found = problem(settings.BACKUP_FOLDER, settings.DATA_DIR, settings.BACKUP_EVERY, now)
    tried = last_try(settings.DATA_DIR)
    kind = "failed" if tried.error else "late" if found else ""
    if kind == tried.warned:
        return
    _note(replace(tried, warned=kind))
    if not found:
        return
    log.error("%s", found)
    try:
        if (server := mail_server()) is not None:
            send_mail(server, server.to, "cwconnect: Backup", f"{found}\n")
        if url := settings.OPERATOR_WEBHOOK_URL:
            post(url, {"text": found, "alerts": []}, who="CWCONNECT_OPERATOR_WEBHOOK_URL")
    except AlertSendError as error:
        log.error("The warning of the backup could not be sent to the operator: %s", error)


def _note(tried: LastTry) -> None:
    name, content = backup_folder.state_of(tried)
    try:
        env.replace_file(settings.DATA_DIR / name, content)
    except OSError as error:
        log.error("What became of the backup can't be kept: %s", error)


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Keep others from taking one at the same time; the operating system frees it with the process."""
    descriptor = os.open(data / "backup.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UnderWayError("Another process is taking a backup.") from None
    finally:
        os.close(descriptor)
