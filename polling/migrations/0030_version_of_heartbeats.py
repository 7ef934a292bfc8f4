from django.db import migrations, models

from cwconnect.core.upgrades import AddColumn


class Migration(migrations.Migration):
    dependencies = [("polling", "0029_traces")]

    operations = [
        AddColumn(
            "heartbeat",
            "version",
            models.CharField(
                blank=True, db_default="", help_text="The version that the part is of; empty: one before 0.2.0.", max_length=40
            ),
        ),
    ]
