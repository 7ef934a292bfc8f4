"""The events of the last day are counted by hour as they come, and polls that need a person are found by an index."""

import django.db.models.deletion
from django.db import migrations, models


def owner(of: str) -> "models.ForeignKey[object, object]":
    return models.ForeignKey(
        db_constraint=False,
        db_index=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name="+",
        to=of,
    )


class Migration(migrations.Migration):
    dependencies = [("instances", "0007_sign_ins"), ("polling", "0015_snapshot_bodies")]

    operations = [
        migrations.CreateModel(
            name="InstanceHour",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "instance_id", "hour", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("instance", owner("instances.instance")),
                ("hour", models.DateTimeField(help_text="When it began.")),
                ("events", models.PositiveIntegerField()),
            ],
            options={"indexes": [models.Index(fields=["hour"], name="instance_hour_oldest")]},
        ),
        migrations.CreateModel(
            name="OrganizationHour",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organization_id", "hour", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("organization", owner("instances.organization")),
                ("hour", models.DateTimeField(help_text="When it began.")),
                ("created", models.PositiveIntegerField()),
                ("updated", models.PositiveIntegerField()),
                ("deleted", models.PositiveIntegerField()),
            ],
        ),
        migrations.AddIndex(
            model_name="pollstate",
            index=models.Index(
                condition=models.Q(("health__in", ["unauthorized", "rejected", "held"])),
                fields=["resource_poll"],
                name="poll_needing_a_person",
            ),
        ),
    ]
