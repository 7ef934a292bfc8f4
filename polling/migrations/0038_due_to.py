from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from cwconnect.core.upgrades import AddIndexBesideWriters


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("polling", "0037_states_of_subscriptions")]

    operations: ClassVar[list[Operation]] = [
        AddIndexBesideWriters(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("next_attempt_at__isnull", False)),
                fields=["next_attempt_at", "id", "instance", "subscription"],
                name="notification_due_to",
            ),
        ),
    ]
