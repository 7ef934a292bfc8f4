from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0007_sign_ins"),
    ]

    operations = [
        migrations.AddField(
            model_name="instance",
            name="callbacks_enabled",
            field=models.BooleanField(
                db_default=False, help_text="ConnectWise's callbacks have resources polled at once."
            ),
        ),
    ]
