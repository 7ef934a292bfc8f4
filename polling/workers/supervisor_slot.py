"""The slot of a supervisor on its machine: a number no other living one has, and what its last cluster signed with.

A slot outlives its holder. So a supervisor that starts after another was killed learns from the file what that one's
cluster signed its leases with, and can free them: that cluster died with its supervisor.
"""

from __future__ import annotations

import fcntl
from itertools import count
from pathlib import Path
from typing import TextIO


class SupervisorSlot:
    """One slot, held from its making to `leave()`, or to this process's death."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.number, self._file = next(
            (number, file) for number in count(1) if (file := _locked(folder / f"work-{number}.lock")) is not None
        )

    def last_signature(self) -> str:
        """Return what the last cluster of this slot signed with; empty if there was none."""
        self._file.seek(0)
        return self._file.read().strip()

    def sign_with(self, signature: str) -> None:
        """Note what the cluster about to be started signs with."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(signature)
        self._file.flush()

    def leave(self) -> None:
        """Free the slot for the next."""
        self._file.close()


def _locked(path: Path) -> TextIO | None:
    file = path.open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
