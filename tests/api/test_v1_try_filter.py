"""`/v1/instances/{id}/try-filter`: which of the newest events pass, and by which condition the others do not."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from polling.reports import event_scan
from tests.api.conftest import Watched
from tests.support.api_caller import Api

pytestmark = pytest.mark.django_db


def tried(api: Api, watched: Watched, query: str = "", **members: Any) -> Any:
    wanted = quote(json.dumps(members))
    answer = api("GET", f"/v1/instances/{watched.instance.pk}/try-filter?filter={wanted}&{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_each_event_says_whether_it_passes_and_by_what_it_does_not(api: Api, watched: Watched) -> None:
    (first,) = watched.changed(1, changes='[{"field":"title","from":"a","to":"b"}]')
    watched.changed(2)
    watched.changed(3, kind="DELETED")
    report = tried(api, watched, kinds=["UPDATED"], changed=["title"], where="id < 9")
    assert {name: report[name] for name in ("judged", "passed", "not_judged", "next_before")} == {
        "judged": 3,
        "passed": 2,
        "not_judged": 1,
        "next_before": None,
    }
    unknown = "changed: the earlier content is not known"
    shown = [(item["object_id"], item["passes"], item["held_by"], item["not_judged"]) for item in report["items"]]
    assert shown == [("3", False, "kinds: DELETED", None), ("2", True, None, unknown), ("1", True, None, None)]
    assert report["items"][-1]["id"] == first.pk


def test_the_newest_are_judged_and_older_ones_page_by_page(api: Api, watched: Watched) -> None:
    made = [event.pk for event in watched.changed(*range(1, 251))]
    seen: list[int] = []
    before = ""
    for count in (120, 120, 10):
        report = tried(api, watched, f"limit=120{before}", where="id > 5")
        assert report["judged"] == count
        seen += [item["id"] for item in report["items"]]
        before = f"&before={report['next_before']}"
    assert report["next_before"] is None
    assert seen == made[::-1]


def test_judging_that_takes_long_ends_and_goes_on_with_the_older(
    api: Api, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, newest = watched.changed(1, 2)
    monkeypatch.setattr(event_scan, "_SECONDS", 0.0)
    report = tried(api, watched)
    assert (report["judged"], report["next_before"]) == (1, newest.pk)


def test_a_mistake_names_its_member_and_anothers_instance_is_not_there(
    api: Api, watched: Watched, foreign: Watched
) -> None:
    path = f"/v1/instances/{watched.instance.pk}/try-filter"
    answer = api("GET", f"{path}?filter=%7B%22to%22:%7B%22a%22:%7B%7D%7D%7D")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("filter: to.a: must be a text")
    assert api("GET", f"/v1/instances/{foreign.instance.pk}/try-filter").status_code == 404
    assert api("GET", path).json() == {"judged": 0, "passed": 0, "not_judged": 0, "items": [], "next_before": None}
