"""The table of configuration keys is the only one: whatever is made from keys has each of them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from instances.admin import InstanceAdmin
from instances.configuration.config_keys import KEYS, POLLS, STORED_KEYS, InstanceConfig, Key
from instances.models import Instance
from instances.pages.forms import ConnectionForm, NameForm, NotifyForm, PollingForm, WritesForm
from instances.secrets import SecretField

FORMS = (ConnectionForm, NotifyForm, PollingForm, WritesForm, NameForm)
ELSEWHERE = {
    POLLS: "a page of its own, and rows of its own",
    "event.vendor.type": "has one value, which nobody chooses",
}


def test_every_field_of_a_configuration_is_filled_by_one_key() -> None:
    assert sorted(key.field for key in KEYS) == sorted(field.name for field in fields(InstanceConfig) if field.compare)


def test_only_what_has_another_place_has_no_column() -> None:
    assert {key.name for key in KEYS} - {key.name for key in STORED_KEYS} == set(ELSEWHERE)


@pytest.mark.parametrize("key", STORED_KEYS, ids=lambda key: key.name)
def test_a_key_has_a_column_that_is_encrypted_if_it_is_a_secret(key: Key) -> None:
    column = Instance._meta.get_field(key.field)
    assert isinstance(column, SecretField) == key.secret


@pytest.mark.parametrize("key", STORED_KEYS, ids=lambda key: key.name)
def test_a_key_is_asked_for_in_one_form(key: Key) -> None:
    assert [form for form in FORMS if key.field in form.base_fields] != []
    assert sum(key.field in form.base_fields for form in FORMS) == 1


@pytest.mark.parametrize("key", STORED_KEYS, ids=lambda key: key.name)
def test_the_admin_shows_a_key_unless_it_is_a_secret(key: Key) -> None:
    shown = {field for _, section in InstanceAdmin.fieldsets for field in section["fields"]}
    # Without its query, so under another name.
    place = "callback" if key.field == "callback_url" else key.field
    assert (place in shown) != key.secret


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_no_secret_is_audited_by_its_value(key: Key) -> None:
    assert not (key.secret and key.audited)


@pytest.mark.parametrize("key", [key for key in KEYS if key.secret], ids=lambda key: key.name)
def test_a_secret_belongs_to_the_url_it_is_sent_to(key: Key) -> None:
    # The signature key signs and is never sent.
    assert bool(key.sent_to) == (key.field != "signature_key")
    assert not key.sent_to or key.sent_to in {each.name for each in KEYS}


def test_the_contract_names_every_key() -> None:
    text = (Path(__file__).parents[2] / "docs" / "wire-contract.md").read_text()
    assert [key.name for key in KEYS if f"`{key.name}`" not in text] == []
