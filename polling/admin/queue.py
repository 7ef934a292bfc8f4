"""The queue's tables, to be looked at: nothing there is to be made or run by hand, and without ours nobody looks."""

from __future__ import annotations

from django.contrib import admin
from django_q import admin as _queues_own  # noqa: F401  (registers the queue's tables, so that they can be replaced)
from django_q.models import Failure, OrmQ, Schedule, Success

from polling.admin.base import ReadOnlyAdmin


def show_queue_read_only() -> None:
    """Replace the queue's own admin."""
    for model in (Schedule, Success, Failure, OrmQ):
        if admin.site.is_registered(model):  # OrmQ is not where Redis is the broker
            theirs = type(admin.site.get_model_admin(model))
            admin.site.unregister(model)
            admin.site.register(model, type(theirs.__name__, (ReadOnlyAdmin, theirs), {"actions": ()}))


show_queue_read_only()
