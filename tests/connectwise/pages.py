"""A list read to its end, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cwconnect.connectwise.answers import Page
from cwconnect.connectwise.client import Client
from cwconnect.connectwise.hub_url import HubUrl, read_page


def read_pages(client: Client, hub_url: HubUrl, *, after_id: int = 0, **options: Any) -> Iterator[Page]:
    """Read all pages from behind `after_id` on, one at a time; an empty last one is given too."""
    while True:
        page = read_page(client, hub_url, after_id=after_id, **options)
        yield page
        if page.is_last:
            return
        after_id = page.last_id
