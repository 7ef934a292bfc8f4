from __future__ import annotations

from typing import ClassVar

from django.db import migrations
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("polling", "0038_due_to")]

    operations: ClassVar[list[Operation]] = [
        migrations.RemoveIndex(model_name="notification", name="notification_due"),
    ]
