"""Have PostgreSQL give events their ids by a sequence, which nobody waits for; SQLite goes on with the row."""

from typing import Any

from django.db import migrations
from cwconnect.core.upgrades import Judged


def make_sequence(apps: Any, schema_editor: Any) -> None:
    """Begin the sequence after the last id that was given; the row's place is taken by it."""
    if schema_editor.connection.vendor != "postgresql":
        return
    log_position = apps.get_model("polling", "LogPosition")
    last = max(log_position.objects.values_list("last", flat=True), default=0)
    schema_editor.execute("CREATE SEQUENCE polling_event_ids AS bigint MINVALUE 0 CACHE 1")
    schema_editor.execute("SELECT setval('polling_event_ids', %s)", [last])  # of 0 the next is 1
    log_position.objects.all().delete()


def drop_sequence(apps: Any, schema_editor: Any) -> None:
    """Have the row go on after the last id that was given."""
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM polling_event_ids")
        last = cursor.fetchone()[0]
    apps.get_model("polling", "LogPosition").objects.update_or_create(pk=1, defaults={"last": last})
    schema_editor.execute("DROP SEQUENCE polling_event_ids")


class Migration(migrations.Migration):
    beside_old = Judged(safe=False, because="On PostgreSQL old workers would give events ids that were given already.")
    dependencies = [("polling", "0013_words_of_jobs")]

    operations = [migrations.RunPython(make_sequence, drop_sequence)]
