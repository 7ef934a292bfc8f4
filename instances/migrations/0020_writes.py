"""Who may write to ConnectWise: the right of a key, and the switch of an instance; neither is on where nobody said so."""

from django.db import migrations, models

from cwconnect.core.upgrades import AddColumn


class Migration(migrations.Migration):
    dependencies = [("instances", "0019_transformations")]
    operations = [
        AddColumn(
            model_name="apiuser",
            name="writes_to_connectwise",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Whether a key that may manage also writes to ConnectWise; one of the scope write does in any case.",
            ),
        ),
        AddColumn(
            model_name="instance",
            name="writes_enabled",
            field=models.BooleanField(
                db_default=False, help_text="Hub routes may create, change and delete records of ConnectWise."
            ),
        ),
    ]
