from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0011_invitations"),
    ]

    operations = [
        migrations.AddField(
            model_name="apiuser",
            name="organization_secret_hash",
            field=models.CharField(
                editable=False,
                help_text="Of an organization secret that is good with this key alone.",
                max_length=64,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="apiuser",
            name="last_four",
            field=models.CharField(
                blank=True, db_default="", help_text="The last characters of its key.", max_length=4
            ),
        ),
        migrations.AddField(
            model_name="apiuser",
            name="may_write",
            field=models.BooleanField(db_default=True, help_text="Whether it may change things, or only read."),
        ),
        migrations.AddField(
            model_name="apiuser",
            name="made_by",
            field=models.CharField(blank=True, db_default="", help_text="Who made its key.", max_length=200),
        ),
        migrations.AddField(
            model_name="apiuser",
            name="expires_at",
            field=models.DateTimeField(blank=True, help_text="When its key ends; empty: it doesn't.", null=True),
        ),
        migrations.AddField(
            model_name="apiuser",
            name="last_used_at",
            field=models.DateTimeField(blank=True, editable=False, help_text="To the minute.", null=True),
        ),
    ]
