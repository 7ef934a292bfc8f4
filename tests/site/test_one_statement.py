"""Several queries by one statement: each is what it is alone, whatever values it is asked with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pytest
from django.db.models import Count
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from cwconnect.core.one_statement import Question, Questions, time_of
from instances.models import Instance, Organization
from polling.models import PollState
from tests.support.page_rows import add_instances

pytestmark = pytest.mark.django_db


def build(organization: int, since: datetime, keys: Sequence[int]) -> Mapping[str, Question]:
    """Return queries of each kind: with values of each kind, of a slice, of counts, and of nothing."""
    instances = Instance.objects.filter(organization=organization)
    return {
        "newest": (instances.order_by("-pk")[:2], ("pk", "name", "events_enabled")),
        "states": (PollState.objects.filter(last_good_at__gte=since), ("pk", "last_good_at", "last_error")),
        "chosen": (instances.filter(pk__in=keys), ("pk",)),
        "counts": (instances.values("organization_id").annotate(n=Count("pk")), ("organization_id", "n")),
        "nothing": (instances.none(), ("pk",)),
    }


def test_each_query_is_what_it_is_alone(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    made = add_instances(organization, 5)
    questions, now = Questions(build), timezone.now()
    for since, keys in ((now - timedelta(days=1), [1]), (now + timedelta(days=1), [instance.pk for instance in made])):
        with django_assert_num_queries(1):
            found = questions.ask(organization=organization.pk, since=since, keys=keys)
        for name, (rows, fields) in build(organization.pk, since, keys).items():
            expected = [dict(zip(fields, row, strict=True)) for row in rows.values_list(*fields)]
            for row in found[name]:
                if "last_good_at" in row:
                    row["last_good_at"] = time_of(row["last_good_at"])
            assert sorted(found[name], key=str) == sorted(expected, key=str), name
    assert sorted(row["pk"] for row in found["chosen"]) == [instance.pk for instance in made]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7, 8])
def test_a_list_of_any_length_selects_what_it_names(organization: Organization, count: int) -> None:
    keys = [instance.pk for instance in add_instances(organization, 8)][:count]
    found = Questions(build).ask(organization=organization.pk, since=timezone.now(), keys=keys)
    assert sorted(row["pk"] for row in found["chosen"]) == keys


def test_what_was_compiled_for_one_is_not_given_to_another(organization: Organization) -> None:
    add_instances(organization, 2)
    questions = Questions(build)
    assert questions.ask(organization=organization.pk, since=timezone.now(), keys=[])["newest"]
    assert not questions.ask(organization=organization.pk + 1, since=timezone.now(), keys=[])["newest"]
