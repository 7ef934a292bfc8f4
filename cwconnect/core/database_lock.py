"""Who uses the embedded database at present: a lock that web and workers share, and that `restore` wants for itself.

The operating system frees it with the process, however that ended.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cwconnect.core.layout import PROGRAM

_NAME = "in-use.lock"
_RUNNING = f"cwconnect is running on this database; stop {PROGRAM} up and {PROGRAM} work first."
_held: dict[Path, int] = {}


class InUseError(Exception):
    """Somebody else uses what was wanted alone, or has it alone; the message says who."""


def hold(folder: Path) -> None:
    """Count as a user of the data in `folder` until this process ends. InUseError while a restore is under way."""
    path = folder / _NAME
    if path in _held:
        return
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InUseError("A restore of the database is under way; start again when it is done.") from None
    _held[path] = descriptor


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Use the data in `folder` alone while the block runs. InUseError while web or workers run."""
    descriptor = _open(folder / _NAME)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InUseError(_RUNNING) from None
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
