"""People who look at pages: an operator, a viewer, a stranger of another organization."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client

from instances.models import Membership, Organization, Role
from tests.support.html import as_read


def sign_in(name: str, *organizations: Organization, role: str = Role.OPERATOR) -> Client:
    """Make an account with that role in these organizations, and sign it in."""
    account = User.objects.create_user(name, password="a long enough password")
    for organization in organizations:
        Membership.objects.create(account=account, organization=organization, role=role)
    client = Client()
    client.force_login(account)
    return client


@pytest.fixture
def operator(organization: Organization) -> Client:
    return sign_in("olga", organization)


@pytest.fixture
def viewer(organization: Organization) -> Client:
    return sign_in("victor", organization, role=Role.VIEWER)


def words_of(html: str) -> str:
    """Return what a page's HTML says in words, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", "", html)).split())


def text_of(response: object) -> str:
    """Return a page's HTML as a browser reads it."""
    return as_read(response.content.decode())  # type: ignore[attr-defined]  # the test client's answer
