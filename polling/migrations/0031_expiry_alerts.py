from django.db import migrations, models

from cwconnect.core.upgrades import AddColumn, Judged


class Migration(migrations.Migration):
    beside_old = Judged(safe=True, because="Its constraint is of a column that the version before leaves empty.")

    dependencies = [
        ('instances', '0018_token_ends'),
        ('polling', '0030_version_of_heartbeats'),
    ]

    operations = [
        AddColumn(
            model_name='alert',
            name='key_number',
            field=models.BigIntegerField(help_text='The id of the API user whose key it is about.', null=True),
        ),
        migrations.AlterField(
            model_name='alert',
            name='kind',
            field=models.CharField(choices=[('half used', 'Half of the retry schedule is used up'), ('last try', 'One try is left'), ('paused', 'Delivery is paused'), ('breaker', 'A receiver keeps failing'), ('refused', 'ConnectWise refuses the keys'), ('accepted', 'ConnectWise accepts the keys again'), ('key expires', 'An API key expires soon'), ('token expires', 'An Element token expires soon')], max_length=20),
        ),
        migrations.AlterField(
            model_name='alertmute',
            name='kind',
            field=models.CharField(blank=True, choices=[('half used', 'Half of the retry schedule is used up'), ('last try', 'One try is left'), ('paused', 'Delivery is paused'), ('breaker', 'A receiver keeps failing'), ('refused', 'ConnectWise refuses the keys'), ('accepted', 'ConnectWise accepts the keys again'), ('key expires', 'An API key expires soon'), ('token expires', 'An Element token expires soon')], max_length=20),
        ),
        migrations.AddConstraint(
            model_name='alert',
            constraint=models.UniqueConstraint(condition=models.Q(('resolved_at', None)), fields=('key_number', 'kind'), name='key_alert_once_per_episode'),
        ),
    ]
