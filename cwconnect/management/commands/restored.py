"""`manage.py restored`: for a database that was put back by other means than `restore`."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.models import Session
from django.db import transaction

from cwconnect.core import terminal
from cwconnect.core.layout import PROGRAM
from instances import audit
from instances.audit import Action
from polling.log.event_ids import skip_ids

_DONE = f"""\
Events get ids a billion further on, so that none is taken for one recorded since the backup; everybody has to sign
in again. What was delivered since the backup is not known here any more: changes made since are found again by the next
polls, and what waited to be delivered is sent again, so receivers may hear of them twice. Before you start the workers,
`{PROGRAM} verify INSTANCE_ID` lists for each instance what is coming and what waits."""


class Command(terminal.Command):
    """Does to a database that was restored by its own tools what `restore` does to the embedded one.

    Nothing in a database shows surely that it is a copy: a dump may be read back into the very database that it is of.
    Done once too often, it skips another billion of nine billion billions.
    """

    help = (
        "To be run after pg_restore or the like, before web and workers are started: event ids go on beyond all that "
        "were recorded since the backup, and everybody has to sign in again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Skip ids, end sessions, record it, and say what it means for receivers."""
        with transaction.atomic():
            skip_ids()
            Session.objects.all().delete()
            audit.record(Action.RESTORE, "the database", organization=None)
        self.stdout.write(_DONE)
