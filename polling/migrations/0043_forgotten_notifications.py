from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("polling", "0042_events_not_carried")]

    operations: ClassVar[list[Operation]] = [
        migrations.AddField(
            model_name="subscription",
            name="forgotten_id",
            field=models.BigIntegerField(
                db_default=0, default=0, help_text="The last event of what was sent and deleted by its age."
            ),
        ),
    ]
