"""The guidance: what it shows is what is sent, every document and link of it is there, wherever it was installed."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from cwconnect.connectwise.catalogue import all_resources
from cwconnect.connectwise.common_resources import COMMON_RESOURCES
from cwconnect.connectwise.further_resources import FURTHER_RESOURCES
from cwconnect.connectwise.only_per_record import all_per_record
from cwconnect.site.guide.documents import DOCUMENTS, HOME, address_of, rendered
from cwconnect.site.guide.markdown import sections
from cwconnect.site.guide.notification_fields import NOTIFICATION_FIELDS, field_paths
from cwconnect.site.guide.receivers import LANGUAGES, code_of
from cwconnect.site.guide.resource_guide import guide_of
from cwconnect.site.guide.samples import SAMPLE_KEY, sample_of
from polling.delivery.forms import Form
from polling.delivery.signing import signature_headers
from polling.models import Event
from tests.contract import assert_same_shape
from tests.pages.conftest import operator, sign_in, viewer
from tests.support.deliveries import deliver
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver

__all__ = ["operator", "viewer"]  # fixtures
pytestmark = pytest.mark.django_db
ROOT = Path(settings.BASE_DIR)
SAMPLED = (*(resource.name for resource in COMMON_RESOURCES), "service-boards", "catalog-items", "my-security")
EVERY_SAMPLE = [(name, kind) for name in SAMPLED for kind in Event.Kind]


# -- samples -----------------------------------------------------------------------------------------------------------


def test_a_sample_is_what_a_receiver_gets(world: PolledInstance, receiver: Receiver) -> None:
    world.watch(callback_url=receiver.url, poll={"trackChanges": True}, event__notification__signature__key=SAMPLE_KEY)
    world.poll()
    for title in ("Chief", "Warehouse Lead"):  # of the first change, what was there before was not kept
        world.change(17, title)
        world.poll()
        deliver()
    got, sample = receiver.got[-1], sample_of("contacts", Event.Kind.UPDATED)
    of_two_forms = ".message.raw.contacts[].communicationItems[]"  # an address has a domain, a telephone has none
    assert_same_shape(json.loads(sample.body), got.json, open_at=[of_two_forms])
    assert got.body.startswith(b'{"id":')  # without blanks, as the sample
    transport = {"host", "content-length", "accept", "accept-encoding", "connection"}
    assert {name.lower() for name in got.headers} - transport == {name.lower() for name in sample.headers}


@pytest.mark.parametrize(("resource", "kind"), EVERY_SAMPLE)
def test_every_field_of_every_sample_is_explained(resource: str, kind: Event.Kind) -> None:
    sample = sample_of(resource, kind)
    body = json.loads(sample.body)
    assert set(field_paths(body, resource)) <= NOTIFICATION_FIELDS.keys()
    event = body["message"]["events"][0]
    assert (event["eventType"], event["objectType"]) == (kind, resource)
    assert bool(event.get("changes")) == (kind == Event.Kind.UPDATED)
    signed = signature_headers(
        [SAMPLE_KEY], sample.headers["webhook-id"], int(sample.headers["webhook-timestamp"]), sample.body.encode()
    )
    assert signed.items() <= sample.headers.items()


def test_no_explanation_is_left_over() -> None:
    paths = {path for name, kind in EVERY_SAMPLE for path in field_paths(json.loads(sample_of(name, kind).body), name)}
    assert paths == NOTIFICATION_FIELDS.keys()


# -- the catalogue -----------------------------------------------------------------------------------------------------


def test_the_catalogue_lists_every_resource_and_is_searched(operator: Client) -> None:
    listed = operator.get("/app/help/events").content.decode()
    for resource in all_resources():
        assert f'href="/app/help/events/{resource.name}"' in listed
    found = operator.get("/app/help/events?q=TICKETS+service").content.decode()
    assert set(re.findall(r'href="/app/help/events/([\w-]+)"', found)) == {"incidents", "ticket-syncs"}
    assert "matches “nothing&lt;”" in operator.get("/app/help/events?q=nothing<").content.decode()


def test_the_catalogue_says_what_is_only_beneath_a_record(operator: Client) -> None:
    listed = re.sub(r"<li>\s+", "<li>", operator.get("/app/help/events").content.decode())
    assert [each.name for each in all_per_record() if f"<li>{each.name} " not in listed] == []
    found = operator.get("/app/help/events?q=ticket-notes").content.decode()
    assert "ticket-notes" in found
    assert "company-sites" not in found


def test_resources_beside_the_common_ones_are_explained() -> None:
    for resource in FURTHER_RESOURCES[::8]:
        guide = guide_of(resource)
        assert {"id", "_info.lastUpdated"} <= {field.name for field in guide.fields}, resource.name
        samples = [sample_of(resource.name, kind.kind) for kind in guide.kinds]
        assert all(json.loads(sample.body)["message"]["events"] for sample in samples)


def test_the_fields_of_a_further_resource_are_connectwises(operator: Client) -> None:
    page = operator.get("/app/help/events/service-boards").content.decode()
    assert "serviceManagerMember" in page
    assert "then those of ConnectWise’s description" in page
    assert "then those of" not in operator.get("/app/help/events/invoices").content.decode()


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("kind", Event.Kind)
def test_a_page_shows_its_sample_byte_for_byte(operator: Client, kind: Event.Kind, form: Form) -> None:
    page = operator.get(f"/app/help/events/invoices?kind={kind}&form={form}").content.decode()
    shown = re.search(r'<pre\s+id="body"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert shown
    sample = sample_of("invoices", kind, form)
    assert html.unescape(shown[1]) == sample.body
    assert f"Content-Type: {sample.headers['Content-Type']}\n" in page


def test_a_form_that_there_is_not_is_shown_as_the_usual_one(operator: Client) -> None:
    assert '"severity"' in html.unescape(operator.get("/app/help/events/invoices?form=xml").content.decode())


@pytest.mark.parametrize("form", Form)
def test_a_sample_is_signed_in_each_form(form: Form) -> None:
    sample = sample_of("contacts", Event.Kind.UPDATED, form)
    stamp = int(sample.headers["webhook-timestamp"])
    signed = signature_headers([SAMPLE_KEY], sample.headers["webhook-id"], stamp, sample.body.encode())
    assert signed.items() <= sample.headers.items()
    expected = "application/cloudevents+json" if form == Form.CLOUDEVENTS else "application/json"
    assert sample.headers["Content-Type"] == expected


def test_an_alias_leads_to_its_resource_and_nothing_else_is_found(operator: Client) -> None:
    assert "/service/tickets" in operator.get("/app/help/events/tickets").content.decode()
    assert operator.get("/app/help/events/nothing").status_code == 404


def test_whoever_may_change_things_goes_on_to_watch_a_resource(
    operator: Client, viewer: Client, notifying: PolledInstance, other_tenant: object
) -> None:
    number = notifying.instance.pk
    page = operator.get("/app/help/events/invoices").content.decode()
    assert f'<option value="{number}">' in page
    assert f'<option value="{number}">' not in operator.get("/app/help/events/contacts").content.decode()  # watched
    to_instance = operator.get(f"/app/help/events/invoices/watch?instance={number}", follow=True)
    assert 'value="invoices"' in to_instance.content.decode()
    assert to_instance.redirect_chain[0][0] == f"/app/instances/{number}/resources/add?name=invoices"
    new = operator.get("/app/help/events/invoices/watch?instance=", follow=True)
    assert [choice.resource.name for choice in new.context["choices"] if choice.chosen] == ["invoices"]
    assert operator.get(f"/app/help/events/invoices/watch?instance={'9' * 30}").status_code == 302
    stranger = sign_in("otto", other_tenant.organization)  # type: ignore[attr-defined]  # a Tenant
    assert stranger.get(f"/app/help/events/invoices/watch?instance={number}").status_code == 404
    assert "Watch it" not in viewer.get("/app/help/events/invoices").content.decode()
    assert viewer.get(f"/app/help/events/invoices/watch?instance={number}").status_code == 403


# -- receivers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.key)
def test_each_receiver_is_shown_whole(operator: Client, language: object) -> None:
    key, file = language.key, language.file  # type: ignore[attr-defined]  # a Language
    page = operator.get(f"/app/help/receivers?language={key}").content.decode()
    shown = re.search(r'<pre\s+id="receiver"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert shown
    assert html.unescape(re.sub("</?span[^>]*>", "", shown[1])) == (ROOT / "docs" / "receivers" / file).read_text(
        encoding="utf-8"
    )


def test_every_file_of_receivers_has_its_language() -> None:
    files = {path.name for path in (ROOT / "docs" / "receivers").iterdir()}
    assert files == {language.file for language in LANGUAGES}
    assert all(code_of(language) for language in LANGUAGES)


def test_an_instances_own_headers_are_named_and_their_values_are_not(
    operator: Client, world: PolledInstance, other_tenant: object
) -> None:
    world.watch(
        event__notification__callback__headers={"X-Tenant": "hush-hush"},
        event__notification__basic__username="ruth",
        event__notification__basic__password="hush-too",
    )
    path = f"/app/instances/{world.instance.pk}/receiver"
    page = operator.get(path).content.decode()
    assert "X-Tenant" in page
    assert "Authorization" in page
    assert "hush" not in page
    stranger = sign_in("otto", other_tenant.organization)  # type: ignore[attr-defined]  # a Tenant
    assert stranger.get(path).status_code == 404


def test_an_instances_delivery_leads_to_it(operator: Client, notifying: PolledInstance) -> None:
    delivery = operator.get(f"/app/instances/{notifying.instance.pk}/delivery").content.decode()
    assert f'href="/app/instances/{notifying.instance.pk}/receiver"' in delivery


def test_an_unsigned_instance_is_not_said_to_be_signed(operator: Client, world: PolledInstance) -> None:
    world.watch(event__notification__signature__key="")
    page = operator.get(f"/app/instances/{world.instance.pk}/receiver").content.decode()
    assert "Its notifications are not signed." in page
    assert "<code>webhook-signature</code></th>" not in page


# -- documents ---------------------------------------------------------------------------------------------------------


def test_every_document_is_a_page() -> None:
    assert {document.name for document in DOCUMENTS} == {path.stem for path in (ROOT / "docs").glob("*.md")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_of_a_document_leads_somewhere(operator: Client, document: object) -> None:
    page = operator.get(address_of(document.name)).content.decode()  # type: ignore[attr-defined]  # a Document
    for target in set(re.findall(r'href="([^"]+)"', page.partition("<main")[2])):
        path, _, anchor = html.unescape(target).partition("#")
        if path.startswith(("https://", "http://")):
            continue
        there = operator.get(path) if path else None
        assert there is None or there.status_code == 200, target
        assert not anchor or f'id="{anchor}"' in (there.content.decode() if there else page), target


def test_no_document_without_a_page(operator: Client) -> None:
    answer = operator.get("/help/nothing")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_documents_are_there_for_anybody_and_stay_where_they_were_linked(client: Client) -> None:
    page = client.get("/help").content.decode()
    for document in DOCUMENTS:
        assert document.name == HOME or f'href="{address_of(document.name)}"' in page
        answer = client.get(f"/app/help/documents/{document.name}", follow=True)
        assert (answer.status_code, answer.redirect_chain[-1][0]) == (200, f"/help/{document.name}")
        assert "/app/help" not in answer.content.decode()  # which wants to know who asks
    assert client.get("/help/", follow=True).redirect_chain == [("/help", 302)]


def test_every_file_that_documents_lead_to_is_shown_and_no_other(client: Client) -> None:
    listed = {path.relative_to(ROOT).as_posix() for folder in ("docs/receivers", "cwconnect/deploy")
              for path in (ROOT / folder).rglob("*") if path.is_file()}  # fmt: skip
    hidden = {name for name in listed if client.get(f"/help/files/{name}").status_code == 404}
    assert hidden == {"cwconnect/deploy/helm/.helmignore"}
    page = client.get("/help/files/docs/receivers/receiver.py").content.decode()
    shown = html.unescape(re.sub(r"<[^>]+>", "", page.partition("<pre")[2].partition(">")[2].partition("</pre>")[0]))
    assert shown.strip() == (ROOT / "docs" / "receivers" / "receiver.py").read_text(encoding="utf-8").strip()
    for wrong in ("cwconnect/settings.py", "cwconnect/deploy/../settings.py", "cwconnect/deploy", "/etc/passwd"):
        assert client.get(f"/help/files/{wrong}").status_code == 404


def test_markdown_passes_no_html_and_no_script() -> None:
    text = "# T\n\n<script>x</script> [a](javascript:x) [b](other.py) [c](data:text/html,x)\n\n"
    text += "## H `a_b`\n\n| a |\n|-|\n| 1 |\n"
    first, second = sections(text, lambda link: None)
    assert "<script" not in first.html
    assert "href" not in first.html
    assert (second.title, second.anchor) == ("H a_b", "h-a_b")
    assert '<div class="scroll" role="region" tabindex="0"' in second.html


def test_every_document_has_sections() -> None:
    assert all(len(rendered(document.name)) > 1 for document in DOCUMENTS)
