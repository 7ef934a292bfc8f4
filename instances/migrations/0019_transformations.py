"""Field mappings of instances."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("instances", "0018_token_ends")]
    operations = [
        migrations.CreateModel(
            name="Transformation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(help_text="What the hub and polls call it.", max_length=100)),
                ("vendor_name", models.CharField(help_text="The resource whose records it maps.", max_length=200)),
                ("fields", models.JSONField(help_text="Pairs of path and vendorPath, as the API takes them.")),
                (
                    "configuration",
                    models.JSONField(
                        blank=True, default=list, help_text="What becomes of fields that it does not name."
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="transformations",
                        to="instances.instance",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("instance", "name"), name="transformation_once_per_instance")
                ],
            },
        ),
    ]
