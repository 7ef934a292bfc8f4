from django.db import migrations, models

from cwconnect.core.upgrades import AddColumn


class Migration(migrations.Migration):

    dependencies = [
        ('instances', '0015_groups_of_issuers'),
    ]

    operations = [
        AddColumn(
            model_name='apiuser',
            name='instance_ids',
            field=models.JSONField(blank=True, help_text='The instances that its key reaches; null: all of the organization.', null=True),
        ),
        AddColumn(
            model_name='apiuser',
            name='networks',
            field=models.JSONField(blank=True, help_text='From where its key is good; none: from anywhere.', null=True),
        ),
        AddColumn(
            model_name='apiuser',
            name='scope',
            field=models.CharField(blank=True, choices=[('read', 'Read'), ('write', 'Read, and write to ConnectWise'), ('manage', 'Manage')], db_default='', default='', help_text='What its key may do; empty: what may_write says.', max_length=10),
        ),
        AddColumn(
            model_name='instance',
            name='previous_token_networks',
            field=models.JSONField(blank=True, editable=False, null=True),
        ),
        AddColumn(
            model_name='instance',
            name='previous_token_scope',
            field=models.CharField(choices=[('read', 'Read'), ('write', 'Read, and write to ConnectWise'), ('manage', 'Manage')], db_default='manage', default='manage', editable=False, max_length=10),
        ),
        AddColumn(
            model_name='instance',
            name='token_expires_at',
            field=models.DateTimeField(blank=True, help_text="When the token ends; empty: it doesn't.", null=True),
        ),
        AddColumn(
            model_name='instance',
            name='token_networks',
            field=models.JSONField(blank=True, help_text='From where the token is good; none: anywhere.', null=True),
        ),
        AddColumn(
            model_name='instance',
            name='token_scope',
            field=models.CharField(choices=[('read', 'Read'), ('write', 'Read, and write to ConnectWise'), ('manage', 'Manage')], db_default='manage', default='manage', help_text='What the token lets a key do, at most.', max_length=10),
        ),
        migrations.AlterField(
            model_name='apiuser',
            name='may_write',
            field=models.BooleanField(db_default=True, default=True, help_text='Whether it may manage: all that version 0.1 knows of its scope.'),
        ),
    ]
