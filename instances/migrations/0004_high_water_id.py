from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("instances", "0003_nobodys_instances")]

    operations = [migrations.RenameField("resourcepoll", "mark", "high_water_id")]
