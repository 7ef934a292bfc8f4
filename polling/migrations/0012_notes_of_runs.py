from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("polling", "0011_heartbeats_and_locks")]

    operations = [
        migrations.AlterField(
            model_name="pollrun",
            name="notes",
            field=models.TextField(blank=True, help_text="Noted of single records, skipped or not: the first few."),
        ),
    ]
