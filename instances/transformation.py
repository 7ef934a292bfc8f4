"""The model of field mappings; all take it from `models`, as they do the others."""

from __future__ import annotations

from django.db import models


class Transformation(models.Model):
    """A field mapping of an instance: records of a resource in a shape of one's own (see hub/mappings.py)."""

    instance = models.ForeignKey(
        "instances.Instance", on_delete=models.CASCADE, db_index=False, related_name="transformations"
    )  # in the constraint below
    name = models.CharField(max_length=100, help_text="What the hub and polls call it.")
    vendor_name = models.CharField(max_length=200, help_text="The resource whose records it maps.")
    fields = models.JSONField(help_text="Pairs of path and vendorPath, as the API takes them.")
    configuration = models.JSONField(
        default=list, blank=True, help_text="What becomes of fields that it does not name."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "name"], name="transformation_once_per_instance")]

    def __str__(self) -> str:
        return f"{self.name} of {self.instance}"
