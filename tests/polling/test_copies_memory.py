"""A copy of any size takes the memory of a page: while it is read, and while its file is written."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from cwconnect.connectwise.client import Page
from instances.models import Instance, Organization
from polling.copies import copy_job, files
from polling.copies.copy_job import CopyJob, claim_copies
from polling.detection.watching import site_key
from polling.models import Copy
from tests.support.required import lengthy
from tests.support.rows import make_instance

PAGE, RECORDS = 1000, 20_000


def page_behind(number: int) -> Page:
    """Return the thousand small records behind an id."""
    ids = range(number + 1, number + PAGE + 1)
    records = [{"id": each, "firstName": f"Ada {each}", "company": {"id": each % 250}} for each in ids]
    return Page(records, None, ids[-1], ends=ids[-1] >= RECORDS)


class Site:
    """A ConnectWise that answers at once."""

    def page(self, path: str, params: dict[str, str], *, after_id: int) -> Page:
        return page_behind(after_id)


@pytest.fixture
def copy(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """A copy that has just been asked for, of a site that has 20,000 records."""
    monkeypatch.setattr(copy_job, "count", lambda client, path, params: RECORDS)
    monkeypatch.setattr(copy_job, "client_for", lambda instance: Site())
    instance: Instance = make_instance(organization)
    asked: Any = {"asked_at": timezone.now(), "next_try_at": timezone.now(), "site": site_key(instance)}
    return Copy.objects.create(instance=instance, resource="contacts", path="/company/contacts", **asked)


def peak_of(act: Callable[[], object]) -> int:
    """Return the most memory that something took, in bytes."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def read_pages(job: CopyJob, count: int) -> None:
    for _ in range(count):
        job.commit(job.request()())


@lengthy
def test_twenty_pages_take_no_more_than_one(copy: Copy) -> None:
    (job,) = claim_copies(16, [])
    assert isinstance(job, CopyJob)
    one = peak_of(lambda: read_pages(job, 1))
    rest = peak_of(lambda: read_pages(job, RECORDS // PAGE - 1))
    assert rest < one * 1.5
    copy.refresh_from_db()
    assert (copy.status, copy.records, copy.pages) == ("COMPLETED", RECORDS, RECORDS // PAGE)
    whole = sum(map(len, files.lines_of(copy)))
    for write in (files.lines_of, files.array_of, files.table_of):
        assert peak_of(lambda write=write: sum(map(len, write(copy)))) < whole / 2, write  # type: ignore[misc]  # mypy infers no default
