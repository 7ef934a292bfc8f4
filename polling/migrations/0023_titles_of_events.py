from typing import Any

from django.db import migrations, models


class AddColumn(migrations.AddField):
    """A column with a constant default of the database's: added on SQLite as on PostgreSQL, without copying the table.

    Django would make the whole table anew there, which for a log of a million events takes minutes.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        schema_editor.execute("ALTER TABLE polling_event ADD COLUMN title varchar(200) DEFAULT '' NOT NULL")


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
