"""The texts of snapshots are called so where the admin lists what would be deleted."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("polling", "0014_event_ids")]

    operations = [migrations.AlterModelOptions("snapshotbody", {"verbose_name_plural": "snapshot bodies"})]
