from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

from cwconnect.core.upgrades import Judged


class Migration(migrations.Migration):
    beside_old: ClassVar[Judged] = Judged(
        safe=True,
        because="The column keeps its name, and an instance's id is its first subscription's; only a constraint goes.",
    )
    dependencies: ClassVar[list[tuple[str, str]]] = [("polling", "0036_sharing_bodies")]

    operations: ClassVar[list[Operation]] = [
        migrations.AlterField(
            model_name="deliverystate",
            name="instance",
            field=models.OneToOneField(
                db_column="instance_id",
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                primary_key=True,
                related_name="delivery_state",
                serialize=False,
                to="polling.subscription",
            ),
        ),
        migrations.RenameField(model_name="deliverystate", old_name="instance", new_name="subscription"),
    ]
