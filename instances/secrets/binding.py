"""The upgrade that bound secrets to their places: until it is recorded as complete, unbound ciphertexts are read.

Afterwards they are refused. Otherwise whoever can write to the database, and has an old ciphertext (of a backup, say),
could put it into any row. The record is the migration's own: who deletes that too is stopped only by keys that are gone
(docs/operations.md#encryption-keys).
"""

from __future__ import annotations

from django.db.migrations.recorder import MigrationRecorder

# Of the app that stands above every table with secrets.
MIGRATION = ("polling", "0010_bind_secrets")


def all_bound() -> bool:
    """Return whether the migration is recorded as complete. Asked only for an unbound ciphertext, so never kept."""
    app, name = MIGRATION
    return MigrationRecorder.Migration.objects.filter(app=app, name=name).exists()
