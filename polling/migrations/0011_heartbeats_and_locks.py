"""Signs of life and locks become two tables; both were rows of one, told apart by how their names began.

The times of periodic jobs are kept, so that the daily ones keep their hour. The rest says what ran before the service
was stopped for this upgrade, and is written anew within seconds of its start: signs of life, places, wake-up calls.
"""

from django.apps.registry import Apps
from django.db import migrations, models
from cwconnect.core.upgrades import Judged

JOB = "chore "


def keep_jobs(apps: Apps, schema_editor: object) -> None:
    jobs = apps.get_model("polling", "Heartbeat").objects.filter(name__startswith=JOB)
    locks = apps.get_model("polling", "Lock").objects
    locks.bulk_create(locks.model(kind="job", name=job.name.removeprefix(JOB), taken_at=job.seen_at) for job in jobs)


class Migration(migrations.Migration):
    beside_old = Judged(safe=False, because="Signs of life and locks move to tables that old workers don't know.")
    dependencies = [("polling", "0010_bind_secrets")]

    operations = [
        migrations.CreateModel(
            name="Lock",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("slot", "A place of a cluster for a task of a kind"), ("wake-up", "The wake-up call of a kind that is under way"), ("job", "A periodic job"), ("schedule", "The queue's schedule")], max_length=20)),
                ("name", models.CharField(max_length=150)),
                ("owner", models.CharField(blank=True, help_text="The cluster whose death frees it, if any.", max_length=100)),
                ("taken_at", models.DateTimeField(help_text="When it was taken, or last confirmed. It ends by itself after a while.")),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("kind", "name"), name="lock_once_a_kind")]},
        ),
        migrations.RunPython(keep_jobs),
        migrations.DeleteModel("Heartbeat"),
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("part", models.CharField(choices=[("cluster", "A worker of the cluster"), ("answer", "The cluster's queue, from end to end"), ("probe", "The database, which takes writes")], max_length=20)),
                ("name", models.CharField(help_text="Of the cluster, say.", max_length=100)),
                ("seen_at", models.DateTimeField()),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("part", "name"), name="heartbeat_once_a_part")]},
        ),
    ]
