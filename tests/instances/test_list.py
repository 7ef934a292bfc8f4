"""GET /instances: order, paging, search, tags."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pytest_django import DjangoAssertNumQueries

from instances.models import Instance
from instances.secrets import Secret
from tests.instances.conftest import Api


def make(api: Api, *names: str, tags: Sequence[str] = ()) -> list[int]:
    rows = [
        Instance(organization=api.tenant.organization, name=name, tags=list(tags), token_hash=f"{name} {tags}")
        for name in names
    ]
    for row in rows:
        row.public_key = row.private_key = Secret.of("x")
    return [row.pk for row in Instance.objects.bulk_create(rows)]


def test_without_any_instance_the_list_is_empty(api: Api) -> None:
    answer = api("GET", "/instances")
    assert answer.status_code == 200
    assert answer.json() == []


def test_the_newest_come_first_page_by_page(api: Api) -> None:
    made = make(api, *(f"name {number}" for number in range(5)))
    seen, token = [], ""
    for expected in (2, 2, 1):
        answer = api("GET", f"/instances?pageSize=2&nextPage={token}")
        assert answer.headers["Elements-Returned-Count"] == str(expected)
        seen += [row["id"] for row in answer.json()]
        token = answer.headers.get("Elements-Next-Page-Token", "")
    assert seen == made[::-1]
    assert token == ""


def test_search_finds_a_part_of_the_name(api: Api) -> None:
    make(api, "Alpha", "Beta")
    assert [row["name"] for row in api("GET", "/instances?searchText=ALPH").json()] == ["Alpha"]


def test_all_given_tags_must_be_there(api: Api) -> None:
    make(api, "both", tags=["red", "blue"])
    make(api, "one", tags=["red"])
    assert len(api("GET", "/instances?tags[]=red").json()) == 2
    assert [row["name"] for row in api("GET", "/instances?tags[]=red&tags[]=blue").json()] == ["both"]
    assert api("GET", "/instances?tags[]=re").json() == []


def test_tags_are_found_beyond_the_first_slice(api: Api) -> None:
    make(api, "old", tags=["red"])
    make(api, *(f"name {number}" for number in range(1200)))
    assert [row["name"] for row in api("GET", "/instances?tags[]=red").json()] == ["old"]


@pytest.mark.parametrize("query", ["pageSize=0", "pageSize=x", "pageSize=-1", "nextPage=!", "nextPage=YWJj"])
def test_paging_that_makes_no_sense_is_400(api: Api, query: str) -> None:
    assert api("GET", f"/instances?{query}").status_code == 400


@pytest.mark.parametrize("count", [1, 300])
def test_a_page_takes_the_same_few_queries(
    api: Api, django_assert_num_queries: DjangoAssertNumQueries, count: int
) -> None:
    make(api, *(f"name {number}" for number in range(count)))
    with django_assert_num_queries(3):
        api("GET", "/instances")
