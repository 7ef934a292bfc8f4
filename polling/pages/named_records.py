"""Records that a page knows by their ids alone, with what people call them and where more of each is seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from cwconnect.connectwise.web_links import web_link
from instances.models import ResourcePoll
from polling.detection.titles import record_titles


@dataclass(frozen=True)
class NamedRecord:
    """A record of a resource: `url` leads to its events, `web_link` to ConnectWise's own page where that is known."""

    resource: str
    record_id: int
    title: str
    url: str
    web_link: str


def named_records(wanted: Mapping[ResourcePoll, Collection[int]]) -> dict[int, list[NamedRecord]]:
    """Return these records of polls by the poll's key, in the order of their ids: two queries at most."""
    titles = record_titles(wanted)
    return {
        poll.pk: [_named(poll, record_id, titles.get((poll.pk, record_id), "")) for record_id in sorted(ids)]
        for poll, ids in wanted.items()
    }


def _named(poll: ResourcePoll, record_id: int, title: str) -> NamedRecord:
    instance = poll.instance
    query = urlencode({"instance": instance.pk, "resource": poll.name, "object": record_id})
    link = web_link(instance.base_url, instance.company, poll.name, record_id)
    return NamedRecord(poll.name, record_id, title, f"{reverse('events-page')}?{query}", link)
