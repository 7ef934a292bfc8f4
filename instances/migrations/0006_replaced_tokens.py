from django.db import migrations, models

import instances.secrets


class Migration(migrations.Migration):
    dependencies = [("instances", "0005_missing_fields")]

    operations = [
        migrations.AddField(
            "instance",
            "token",
            instances.secrets.SecretField(
                blank=True, help_text="Kept only where tokens may be read again.", null=True
            ),
        ),
        migrations.AddField(
            "instance",
            "previous_token_hash",
            models.CharField(editable=False, max_length=64, null=True, unique=True),
        ),
        migrations.AddField(
            "instance",
            "previous_token_until",
            models.DateTimeField(blank=True, help_text="When the former token ends.", null=True),
        ),
    ]
