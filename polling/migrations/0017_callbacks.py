import django.db.models.deletion
import instances.secrets
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('instances', '0008_callbacks'),
        ('polling', '0016_counts_of_hours'),
    ]

    operations = [
        migrations.AddField(
            model_name='pollstate',
            name='woken_at',
            field=models.DateTimeField(help_text='When a callback last made it due.', null=True),
        ),
        migrations.AlterField(
            model_name='pollrun',
            name='kind',
            field=models.CharField(choices=[('poll', 'Poll'), ('backfill', 'Backfill'), ('sweep', 'Sweep for deletes'), ('repair', 'Repair'), ('announced', 'Records that callbacks announced')], default='poll', max_length=20),
        ),
        migrations.CreateModel(
            name='CallbackEndpoint',
            fields=[
                ('lease_token', models.CharField(editable=False, max_length=32, null=True)),
                ('lease_until', models.DateTimeField(editable=False, null=True)),
                ('instance', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='callback_endpoint', serialize=False, to='instances.instance')),
                ('token', instances.secrets.SecretField(help_text='The part of the URL that nobody else knows.')),
                ('token_hash', models.CharField(editable=False, max_length=64, unique=True)),
                ('url', models.CharField(blank=True, help_text='Our address when registrations were last compared.', max_length=500)),
                ('next_compare_at', models.DateTimeField(help_text='When registrations are compared with what is wanted.', null=True)),
                ('compared_at', models.DateTimeField(help_text='When that last went well.', null=True)),
                ('failures', models.PositiveIntegerField(default=0, help_text='Failed comparisons since the last good one.')),
                ('error', models.TextField(blank=True, help_text='Why the last comparison failed, or what ConnectWise refuses.')),
                ('key_error', models.TextField(blank=True, help_text="Why ConnectWise's signing key can't be had.")),
                ('next_key_at', models.DateTimeField(help_text='No signing key is asked for before this.', null=True)),
                ('examined_upto', models.BigIntegerField(default=0, help_text='The last event looked at for its announcement.')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('lease_token__isnull', False)), fields=['lease_token'], name='callbacks_leased'), models.Index(condition=models.Q(('next_compare_at__isnull', False)), fields=['next_compare_at'], name='callbacks_due')],
            },
        ),
        migrations.CreateModel(
            name='AnnouncedRecord',
            fields=[
                ('pk', models.CompositePrimaryKey('resource_poll_id', 'record_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('record_id', models.BigIntegerField()),
                ('announced_at', models.DateTimeField(help_text='When the last callback about it arrived.')),
                ('deleted', models.BooleanField(default=False, help_text='Whether that one said that it was deleted.')),
                ('not_found', models.PositiveSmallIntegerField(default=0, help_text='How often it was asked for and not found.')),
                ('tries', models.PositiveSmallIntegerField(default=0, help_text='How often it was asked for.')),
                ('next_read_at', models.DateTimeField()),
                ('resource_poll', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='instances.resourcepoll')),
            ],
            options={
                'indexes': [models.Index(fields=['next_read_at'], name='announced_due')],
            },
        ),
        migrations.CreateModel(
            name='CallbackCount',
            fields=[
                ('pk', models.CompositePrimaryKey('instance_id', 'hour', 'type', 'name', blank=True, editable=False, primary_key=True, serialize=False)),
                ('hour', models.DateTimeField(help_text='When it began.')),
                ('type', models.CharField(help_text='Blank where nobody knows.', max_length=40)),
                ('name', models.CharField(max_length=60)),
                ('count', models.BigIntegerField()),
                ('instance', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='instances.instance')),
            ],
            options={
                'indexes': [models.Index(fields=['hour'], name='callback_count_oldest')],
            },
        ),
        migrations.CreateModel(
            name='CallbackHint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('received_at', models.DateTimeField()),
                ('signature', models.CharField(blank=True, help_text='The header x-content-signature.', max_length=100)),
                ('body', models.BinaryField(help_text='As it arrived; empty once it is judged.', null=True)),
                ('judge_at', models.DateTimeField(help_text='When it is judged; later again where a signing key is asked for.')),
                ('status', models.CharField(choices=[('waiting', 'Not judged yet'), ('verified', 'Signed by ConnectWise'), ('refused', 'Refused')], default='waiting', max_length=10)),
                ('reason', models.CharField(blank=True, help_text='Why it was refused.', max_length=40)),
                ('digest', models.CharField(blank=True, help_text='The SHA-256 of a verified body, to know it again.', max_length=64)),
                ('type', models.CharField(blank=True, max_length=40)),
                ('action', models.CharField(blank=True, max_length=40)),
                ('record_id', models.BigIntegerField(null=True)),
                ('instance', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='callback_hints', to='instances.instance')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('status', 'waiting')), fields=['judge_at'], name='hint_due'), models.Index(condition=models.Q(('status', 'waiting')), fields=['instance'], name='hint_waiting'), models.Index(condition=models.Q(('status', 'verified')), fields=['instance', 'type', 'record_id', 'received_at'], name='hint_of_record'), models.Index(condition=models.Q(('status', 'verified')), fields=['instance', 'digest'], name='hint_by_digest'), models.Index(fields=['received_at'], name='hint_oldest')],
            },
        ),
        migrations.CreateModel(
            name='CallbackRegistration',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('type', models.CharField(help_text="ConnectWise's word for what it announces: contact, ticket.", max_length=40)),
                ('entry_id', models.BigIntegerField(help_text='Its id at ConnectWise.', null=True)),
                ('status', models.CharField(choices=[('wanted', 'To be registered'), ('active', 'Registered'), ('refused', 'Refused by ConnectWise')], default='wanted', max_length=10)),
                ('error', models.TextField(blank=True, help_text='Why ConnectWise refuses it.')),
                ('active_since', models.DateTimeField(null=True)),
                ('instance', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='callback_registrations', to='instances.instance')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('instance', 'type'), name='callback_once_a_type')],
            },
        ),
    ]
