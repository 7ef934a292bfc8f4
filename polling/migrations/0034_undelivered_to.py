from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.models.functions import Coalesce

from cwconnect.core.upgrades import AddIndexBesideWriters


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("polling", "0033_subscriptions")]

    operations: ClassVar[list[Operation]] = [
        AddIndexBesideWriters(
            model_name="notification",
            index=models.Index(
                Coalesce("subscription", "instance"),
                models.F("id"),
                condition=~models.Q(state__in=["delivered", "failed", "discarded"]),
                name="notification_undelivered_to",
            ),
        ),
    ]
