"""The event history and the state of polls and deliveries in Django's admin: to be searched and read, never edited.

An edit by hand would break a promise (an event recorded, bytes signed, a cursor); what a person may do is an action.
"""

from polling.admin import (
    alerts,
    callbacks,
    copies,
    deliveries,
    events,
    instances,
    polls,
    queue,
    receivers,
    subscriptions,
)

__all__ = [
    "alerts",
    "callbacks",
    "copies",
    "deliveries",
    "events",
    "instances",
    "polls",
    "queue",
    "receivers",
    "subscriptions",
]
