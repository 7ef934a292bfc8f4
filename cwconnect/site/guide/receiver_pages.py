"""*Verify in your language*: the documents' receivers, beside the headers that arrive at an instance's receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from cwconnect.site.guide.documents import section
from cwconnect.site.guide.highlight import highlighted
from cwconnect.site.guide.receivers import LANGUAGES, code_of, find_language
from cwconnect.site.guide.samples import sample_of
from instances.models import Instance
from instances.pages.access import PageRequest, page
from instances.secrets import MASK, SecretUnreadableError
from polling.delivery.delivery_request import delivery_target_of
from polling.models import Event, Subscription

_SECTIONS = ("verifying", "answering", "repeats")
_MEANINGS = {
    "Content-Type": "always JSON; another name of it in the form cloudevents",
    "User-Agent": "who sends",
    "Elements-Webhook-Id": "the notification, the same on every try; the vendor’s name for webhook-id",
    "webhook-id": "the notification, the same on every try: keep it to know a repeat",
    "webhook-timestamp": "when this try was signed, in Unix seconds",
    "Elements-Webhook-Signature": "the vendor’s signature, by the newest key",
    "webhook-signature": "that of Standard Webhooks; two, separated by a space, while the key is being rotated",
}


@dataclass(frozen=True)
class Header:
    """A header of a notification: its name, what it may look like, and what it is for."""

    name: str
    example: str
    words: str


@require_GET
@page
def receiver_code(request: PageRequest) -> HttpResponse:
    """Show a receiver in the language in `language`."""
    return _show(request, None)


@require_GET
@page
def instance_receiver_code(request: PageRequest, number: int) -> HttpResponse:
    """Show it with the headers that this instance's receiver gets."""
    return _show(request, request.person.instance(number))


def _show(request: PageRequest, instance: Instance | None) -> HttpResponse:
    language = find_language(request.GET.get("language", ""))
    context: dict[str, Any] = {
        "instance": instance,
        "tab": "delivery",
        "languages": LANGUAGES,
        "language": language,
        "code": highlighted(code_of(language), language.key),
        "sections": [section("receivers", anchor) for anchor in _SECTIONS],
        "headers": headers_of(instance),
        "here": "instances" if instance else "help",
    }
    return render(request, "guide/receiver.html", context)


def headers_of(instance: Instance | None) -> list[Header]:
    """Return the headers of a notification; of an instance those that it is sent with, without values that it set."""
    signed = instance is None or bool(instance.signature_key)
    ours = [
        Header(name, example, _MEANINGS[name])
        for name, example in sample_of("contacts", Event.Kind.UPDATED).headers.items()
        if signed or not name.lower().endswith("signature")
    ]
    return ours + (_own_headers(instance) if instance else [])


def _own_headers(instance: Instance) -> list[Header]:
    """Return the headers that the instance's people set; none where they can't be opened."""
    try:
        target = delivery_target_of(Subscription(pk=instance.pk, instance=instance), timezone.now())
    except SecretUnreadableError:
        return []
    own = [Header(name, MASK, "set in this instance’s settings") for name in target.extra_headers]
    return own + ([Header("Authorization", MASK, "Basic, set in this instance’s settings")] if target.auth else [])
