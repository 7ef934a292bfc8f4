from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("instances", "0013_audit_search"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["at"], name="audit_time"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["organization", "actor", "-id"], name="audit_actor"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["organization", "action", "-id"], name="audit_action"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["organization", "actor", "action", "-id"], name="audit_actor_action"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                condition=models.Q(("instance_number__isnull", False)),
                fields=["organization", "instance_number", "-id"],
                name="audit_instance",
            ),
        ),
    ]
