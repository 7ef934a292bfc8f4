"""Which polls keep earlier content since a receiver's filter asks what changed; none where nobody has a filter."""

from django.db import migrations, models

from cwconnect.core.upgrades import AddColumn


class Migration(migrations.Migration):
    dependencies = [("instances", "0020_writes")]
    operations = [
        AddColumn(
            model_name="resourcepoll",
            name="tracks_for_filters",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="A receiver's filter asks which fields changed.",
            ),
        ),
    ]
