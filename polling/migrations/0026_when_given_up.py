from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from cwconnect.core.upgrades import Judged, Rate


class Migration(migrations.Migration):
    beside_old: ClassVar[Judged] = Judged(
        safe=True,
        because="It fills a column that old processes don't know; what they give up meanwhile has no time there.",
        rates=(Rate("polling_notification", sqlite=1, postgresql=0.5),),
    )
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("instances", "0008_callbacks"),
        ("polling", "0025_find_failed_attempts"),
    ]

    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="GivenUpDismissal",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="given_up_dismissal",
                        serialize=False,
                        to="instances.organization",
                    ),
                ),
                ("upto", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="notification",
            name="given_up_at",
            field=models.DateTimeField(help_text="When its last try failed while others got through.", null=True),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("state", "failed")), fields=["given_up_at"], name="notification_given_up_when"
            ),
        ),
        # When it was made is the best that is known of those given up before.
        migrations.RunSQL(
            "UPDATE polling_notification SET given_up_at = created_at WHERE state = 'failed'", migrations.RunSQL.noop
        ),
    ]
