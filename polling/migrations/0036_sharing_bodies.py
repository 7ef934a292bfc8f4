from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from cwconnect.core.upgrades import AddIndexBesideWriters


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("polling", "0035_newest_to")]

    operations: ClassVar[list[Operation]] = [
        AddIndexBesideWriters(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("shared_body__isnull", False)), fields=["shared_body"], name="notification_sharing"
            ),
        ),
    ]
