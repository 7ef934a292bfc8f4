from django.db import migrations, models

from cwconnect.core.upgrades import AddColumn


class Migration(migrations.Migration):
    dependencies = [("polling", "0022_bulk_jobs")]

    operations = [
        AddColumn(
            "event",
            "title",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="What people call the record, as of this change; empty where it has no such field.",
                max_length=200,
            ),
        ),
    ]
