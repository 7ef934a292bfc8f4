from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("polling", "0007_repairs"), ("instances", "0004_high_water_id")]

    operations = [
        migrations.RenameModel("Absence", "MissingRecord"),
        migrations.RenameModel("KnownRecord", "RecordSnapshot"),
        migrations.RenameModel("KnownBody", "SnapshotBody"),
        migrations.RenameModel("Tally", "StoredCounter"),
        migrations.RemoveIndex("missingrecord", "absence_by_standing"),
        migrations.RenameField("missingrecord", "standing", "status"),
        migrations.AddIndex("missingrecord", models.Index(fields=["resource_poll", "status", "record_id"], name="missing_by_status")),
    ]
