from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('instances', '0004_high_water_id'),
    ]

    operations = [
        migrations.AddField(
            model_name='resourcepoll',
            name='missing_fields',
            field=models.JSONField(blank=True, default=list, help_text='Keys of the configuration that name a field which no record read has.'),
        ),
    ]
