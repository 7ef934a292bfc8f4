from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from cwconnect.core.upgrades import AddIndexBesideWriters


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("polling", "0041_walks")]

    operations: ClassVar[list[Operation]] = [
        AddIndexBesideWriters(
            model_name="event",
            index=models.Index(
                condition=models.Q(("notification__isnull", True)),
                fields=["polled_at", "id", "instance"],
                name="event_not_carried",
            ),
        ),
    ]
