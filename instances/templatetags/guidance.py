"""Small links to what explains a thing, the same everywhere: `{% help "verify" %}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django import template
from django.urls import reverse

register = template.Library()

# What is explained: in which words, by which document's section. A test follows each, and finds those nobody uses.
TOPICS: Final[Mapping[str, tuple[str, str, str]]] = {
    "answering": ("what a receiver answers, and what is tried again", "receivers", "answering"),
    "backfill": ("what a poll reads, and from when on", "architecture", "the-window"),
    "callbacks": ("ConnectWise’s callbacks", "operations", "connectwises-callbacks"),
    "connection": ("where ConnectWise is, and as whom it is asked", "connectwise", "where-and-as-whom"),
    "copies": ("what a copy holds, and how events go on from it", "wire-contract", "first-load"),
    "deletes": ("how deletes are found, and why they are held back", "architecture", "deletes"),
    "events": ("what an event means", "receivers", "what-an-event-means"),
    "filters": ("what a filter may ask, and how it is judged", "wire-contract", "filters"),
    "forms": ("the forms of a notification, with samples", "wire-contract", "forms"),
    "notify": ("signatures, and how to verify them", "receivers", "verifying"),
    "poll": ("every key of a poll’s configuration", "wire-contract", "4-configuration-keys-of-events"),
    "repeats": ("how a receiver knows a repeat", "receivers", "repeats"),
    "retries": ("when delivery is tried again, and when it pauses", "wire-contract", "retries"),
    "subscriptions": ("several receivers of one instance", "receivers", "subscriptions"),
    "token": ("how calls are authorized", "wire-contract", "1-authorization-header"),
    "verify": ("what is compared and repaired", "architecture", "verification-and-repair"),
}


@register.inclusion_tag("parts/help_link.html")
def help_on(topic: str) -> dict[str, str]:
    """Return a topic's link; KeyError for one that is none."""
    words, document, anchor = TOPICS[topic]
    return {"words": words, "url": f"{reverse('help-document', args=[document])}#{anchor}"}
