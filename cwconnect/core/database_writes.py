"""Whether SQLite's file could be written, as far as that is known without writing: a few microseconds.

PostgreSQL says it in any statement (`transaction_read_only`).
"""

from __future__ import annotations

import os
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper


def refusal_to_write(connection: BaseDatabaseWrapper) -> str:
    """Return why SQLite's file can't be written, in a sentence; blank if nothing is known against it."""
    if connection.vendor != "sqlite" or connection.is_in_memory_db():  # type: ignore[attr-defined]  # SQLite's own
        return ""
    return refusal_of_file(Path(connection.settings_dict["NAME"]))


def refusal_of_file(path: Path) -> str:
    """Return why a database's file can't be written; its folder matters too, for the journal is a file beside it."""
    try:
        if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            return f"The service may not write {path}, or its folder."
        if os.statvfs(path).f_bavail == 0:
            return f"The disk of {path} is full."
    except OSError as error:  # whoever reads it next says that better
        return f"{path} can't be looked at: {error.strerror}."
    return ""
