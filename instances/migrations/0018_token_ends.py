from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('instances', '0017_second_factors'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='instance',
            index=models.Index(condition=models.Q(('token_expires_at__isnull', False)), fields=['organization', 'token_expires_at'], name='instance_token_ends'),
        ),
    ]
