import re
from typing import Any

from django.db import migrations, models

_SLICE = 1000
_NUMBER = re.compile(r"\((\d{1,18})\)(?:, being deleted)?$")
# What was done to instances by then: their names stand as `Acme (17)` and `contacts of Acme (17)`.
_OF_INSTANCES = (
    *("instance created", "instance changed", "instance enabled", "instance disabled", "instance deleted"),
    *("signature key rotated", "backfill asked for", "token replaced", "delivery paused", "delivery released"),
    *("notifications replayed", "repair asked for", "callbacks removed", "held deletes decided"),
)


def number_the_instances(apps: Any, schema_editor: Any) -> None:
    """Read the instances' ids out of what the entries name, a slice at a time: the table has no end."""
    entries = apps.get_model("instances", "AuditEntry").objects.order_by("pk")
    last = 0
    while rows := list(entries.filter(pk__gt=last).only("pk", "action", "subject")[:_SLICE]):
        last = rows[-1].pk
        found = [(row, _NUMBER.search(row.subject)) for row in rows if row.action in _OF_INSTANCES]
        numbered = [row for row, number in found if number]
        for row, number in found:
            row.instance_number = int(number[1]) if number else None
        entries.model.objects.bulk_update(numbered, ["instance_number"], batch_size=200)


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0012_api_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="auditentry",
            name="instance_number",
            field=models.BigIntegerField(
                help_text="The id of the instance that it was done to, if any.", null=True
            ),
        ),
        migrations.RunPython(number_the_instances, migrations.RunPython.noop, elidable=True),
    ]
