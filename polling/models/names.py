"""What records are called, word by word, so that the search finds them by an index."""

from __future__ import annotations

from django.db import models

from instances.models import Organization, ResourcePoll


class RecordWord(models.Model):
    """A word of a title that a record has or had (see polling/reports/name_index.py).

    The database holds no foreign key: to check it would lock the organization against who works on it.
    """

    pk = models.CompositePrimaryKey("resource_poll_id", "record_id", "word")
    resource_poll = models.ForeignKey(
        ResourcePoll, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )
    record_id = models.BigIntegerField()
    word = models.CharField(max_length=40, help_text="In small letters.")
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="+"
    )

    class Meta:
        app_label = "polling"
        indexes = [
            # For the beginnings of words: PostgreSQL's own order of texts is a language's.
            models.Index(
                fields=["organization", "word"],
                name="word_of_organization",
                opclasses=["int8_ops", "varchar_pattern_ops"],
            )
        ]

    def __str__(self) -> str:
        return f"{self.word} of record {self.record_id}"
