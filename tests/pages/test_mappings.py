"""Field mappings in an instance's *Settings*."""

from __future__ import annotations

import pytest
from django.test import Client

from instances.hub.transformations import put_transformation
from tests.api.conftest import Watched
from tests.conftest import Tenant
from tests.pages.conftest import text_of

pytestmark = pytest.mark.django_db


def test_the_settings_show_an_instance_s_field_mappings_where_it_has_any(operator: Client, tenant: Tenant) -> None:
    watched, other = Watched(tenant), Watched(tenant)
    fields = [{"path": "givenName", "vendorPath": "firstName"}]
    put_transformation(watched.instance, "people", {"vendorName": "contacts", "fields": fields})
    page = text_of(operator.get(f"/app/instances/{watched.instance.pk}/settings"))
    assert "Field mappings" in page
    assert all(f"<code>{word}</code>" in page for word in ("people", "givenName", "firstName"))
    assert "Field mappings" not in text_of(operator.get(f"/app/instances/{other.instance.pk}/settings"))
