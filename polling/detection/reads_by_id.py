"""Chosen rows of a resource, read by their ids as its poll would read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from cwconnect.connectwise.client import LARGEST_PAGE, Client, Page, encode_query
from instances.plans import Plan

MOST_IDS = 200
LONGEST_QUERY = 1700  # ConnectWise takes 2,000 characters; the rest is for the site's base URL and the path


def params_for(
    plan: Plan, ids: Sequence[int], *, opening: datetime, filtered: bool, fields: str = ""
) -> dict[str, str]:
    """Return ConnectWise's parameters for a list of these rows, with the poll's own fields unless others are named.

    `filtered`: only those that the poll's `where` selects in the window from `opening` on.
    """
    hub = plan.hub if filtered else replace(plan.hub, where=None, extra=())
    params = hub.params(opening, needed_fields=plan.needed_fields)
    wanted = f"id in ({','.join(str(number) for number in ids)})"
    params["conditions"] = f"({params['conditions']}) and {wanted}" if "conditions" in params else wanted
    if fields:
        params["fields"] = fields
    return params


def id_batches(plan: Plan, ids: Sequence[int], *, opening: datetime, filtered: bool) -> Iterator[Sequence[int]]:
    """Cut ids into batches that fit into one request each: its URL must not grow too long."""
    parameters = partial(params_for, plan, opening=opening, filtered=filtered)
    rest = ids
    while rest:
        size = min(len(rest), MOST_IDS)
        while size > 1 and len(encode_query(parameters(rest[:size]))) > LONGEST_QUERY:
            size -= max(1, size // 8)
        yield rest[:size]
        rest = rest[size:]


def rows_answered(ids: Sequence[int], page: Page) -> Sequence[int]:
    """Return those of a lot of rows (in order) that a page answers for: a site's cap or a broken record cuts it short.

    The others have to be asked for again.
    """
    return ids if page.is_last else [number for number in ids if number <= page.last_id]


def name_unread(page: Page, read_ids: Callable[[], Page]) -> Page:
    """Return a page with the ids of what was skipped on it: those of `read_ids`, the same list by its ids alone."""
    if not page.skipped:
        return page
    read = {record["id"] for record in page.records}
    ids = (record["id"] for record in read_ids().records)
    return replace(page, unread=tuple(n for n in ids if n not in read and (page.is_last or n <= page.last_id)))


def read_rows(
    client: Client, plan: Plan, ids: Sequence[int], *, opening: datetime, filtered: bool, fields: str = ""
) -> Page:
    """Read those of one lot of rows that there are, in the order of ids, or the first of them: see `rows_answered`.

    Raises ConnectWiseError.
    """
    params = params_for(plan, ids, opening=opening, filtered=filtered, fields=fields)
    return client.page(plan.hub.path, params, page_size=LARGEST_PAGE)
