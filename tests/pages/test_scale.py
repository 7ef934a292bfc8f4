"""Every page and every list of the admin takes a bounded number of queries, however much there is.

The times are measured by `python -m tests.long.benchmarks.pages`, at 1,000 instances and 1,000,000 events.
"""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.utils import timezone

from instances.models import Organization
from tests.conftest import make_tenant
from tests.support.every_page import every_page
from tests.support.filled_service import fill
from tests.support.page_views import look, onlooker
from tests.support.required import lengthy

pytestmark = pytest.mark.django_db
MOST_QUERIES = 25


def queries(*, instances: int, events: int) -> dict[str, int]:
    """Return how many queries each page takes, of an organization of that size."""
    Organization.objects.all().delete()
    organization = make_tenant("Gamma").organization
    filled = fill(organization, instances=instances, events=events, now=timezone.now())
    cache.clear()
    client = onlooker(organization)
    seen = [look(client, page, times=0) for page in every_page(filled)]
    return {each.page.name: each.queries for each in seen if each is not None}


@lengthy
def test_no_page_asks_more_the_more_there_is() -> None:
    few = queries(instances=10, events=200)
    many = queries(instances=60, events=3000)
    assert few.keys() == many.keys()
    assert len(few) > 80
    # One more where what is rare is looked for, and a first page is full.
    assert {name: (few[name], count) for name, count in many.items() if count > few[name] + 2} == {}
    assert {name: count for name, count in many.items() if count > MOST_QUERIES} == {}
