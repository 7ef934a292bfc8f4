from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("polling", "0040_changes_for_filters")]

    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="StoredWalk",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("begun_at", models.DateTimeField(help_text="When it last began at the head.")),
                ("reached_at", models.DateTimeField(help_text="The time of the last row that was looked at.")),
                ("reached_id", models.BigIntegerField(help_text="Its id.")),
                (
                    "ended",
                    models.BooleanField(
                        default=False, help_text="Whether it came to the last of the rows that were old."
                    ),
                ),
            ],
        ),
    ]
