"""Periodic jobs and texts get the words that they have elsewhere. Times are kept, so that daily jobs keep their hour."""

from django.apps.registry import Apps
from django.db import migrations, models
from cwconnect.core.upgrades import Judged

NAMES = {
    "tallies": "counters",
    "tell refusals": "auth alerts",
    "tell the operator": "send alerts",
    "rearm forgotten": "rearm stranded notifications",
    "mend times": "repair clock skew",
    "pulse": "healthcheck ping",
    "forget sessions": "delete expired sessions",
    "forget sign-in attempts": "delete old sign-in attempts",
    "forget counts of failures": "delete old counts of failures",
    "forget sign-ins": "delete old sign-ins",
    "forget clusters": "delete dead heartbeats",
    "forget deleted instances": "purge deleted instances",
}


def rename_jobs(apps: Apps, schema_editor: object) -> None:
    jobs = apps.get_model("polling", "Lock").objects.filter(kind="job")
    for old, new in NAMES.items():
        jobs.filter(name=old).update(name=new)


class Migration(migrations.Migration):
    beside_old = Judged(
        safe=True, because="Periodic jobs that old workers know by another name are done once more, which harms nothing."
    )
    dependencies = [("polling", "0012_notes_of_runs")]

    operations = [
        migrations.RunPython(rename_jobs),
        migrations.AlterField("missingrecord", "status", models.CharField(choices=[("missed", "Not found by the sweep under way"), ("held", "Held back for a person to decide"), ("released", "Released: recorded by the next sweep that does not find it either"), ("dismissed", "Dismissed: not recorded, and not asked about again"), ("back", "Deleted, and found again")], default="missed", max_length=10)),
        migrations.AlterField("repair", "events", models.PositiveIntegerField(default=0, help_text="Events recorded.")),
        migrations.AlterField("repair", "swept_from", models.DateTimeField(help_text="Since when a sweep records the deletes that were lost.", null=True)),
    ]
