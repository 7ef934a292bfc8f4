from django.db import migrations, models

from cwconnect.core.upgrades import AddColumn


class Migration(migrations.Migration):
    dependencies = [("polling", "0008_names_of_the_field")]

    # Nobody knows it of the attempts that there are: they may have arrived. By the database's own default, so that the
    # largest table but one is not written anew.
    operations = [
        AddColumn(
            "deliveryattempt",
            "unsent",
            models.BooleanField(db_default=False, help_text="It failed before a byte of it could reach the receiver."),
        ),
    ]
