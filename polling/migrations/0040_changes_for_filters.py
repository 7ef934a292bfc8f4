"""Whether what changed is kept for filters alone: of the events that there are it was asked for by the poll."""

from django.db import migrations, models

from cwconnect.core.upgrades import AddColumn


class Migration(migrations.Migration):
    dependencies = [("polling", "0039_no_index_of_instances_due")]
    operations = [
        AddColumn(
            model_name="event",
            name="changes_for_filters",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="They are kept for filters alone: notifications do not have them.",
            ),
        ),
    ]
