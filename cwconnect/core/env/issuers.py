"""Readers of what an issuer of OpenID Connect takes: its URL, the roles that its groups give, names that people see."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured

from cwconnect.core.env.urls import is_host, is_https_or_local, split_url
from cwconnect.core.env.values import it_is, items, text

_LONGEST_NAME, _LONGEST_GROUP = 60, 200


class GroupRole(NamedTuple):
    """A group of the issuer's, and the role that it gives in an organization."""

    group: str
    organization: str
    role: str


def issuer_url(name: str, *, client_id: str) -> str:
    """Read an issuer's name, which is a URL: https, or http on this machine; kept letter by letter; may be empty.

    It is of no use without a client id: ImproperlyConfigured where that is empty.
    """
    url = text(name)
    if not url:
        return ""
    parts = split_url(name, url, ("https", "http"))
    if not is_host(parts.hostname or "") or "@" in parts.netloc or parts.query or "?" in url:
        raise ImproperlyConfigured(
            f"{name} must be the issuer's URL as it names itself, such as https://login.example.com/realms/staff: "
            "no user, no query."
        )
    if "/.well-known" in parts.path:
        raise ImproperlyConfigured(f"{name} must be the issuer's URL, which is what stands before /.well-known/.")
    if not is_https_or_local(url):
        raise ImproperlyConfigured(f"{name} must begin with https://; http:// is for this machine alone.")
    if not client_id:
        raise ImproperlyConfigured(f"{name} is set, and CWCONNECT_OIDC_CLIENT_ID is not.")
    return url


def group_roles(name: str, roles: Collection[str]) -> list[GroupRole]:
    """Read comma-separated `group=Organization:role`."""
    found = []
    for part in items(name):
        group, is_given, place = part.rpartition("=")
        organization, _, role = place.rpartition(":")
        row = GroupRole(group.strip(), organization.strip(), role.strip().lower())
        if not is_given or not all(row) or row.role not in roles or len(row.group) > _LONGEST_GROUP:
            raise ImproperlyConfigured(
                f"{name} must list group=Organization:role, such as staff=Acme:viewer; a role is {' or '.join(roles)}, "
                f"and a group has at most {_LONGEST_GROUP} characters{it_is(name, part)}."
            )
        found.append(row)
    return found


def label(name: str, default: str) -> str:
    """Read a short name that people see."""
    value = text(name, default)
    if len(value) > _LONGEST_NAME or not value.isprintable():
        raise ImproperlyConfigured(f"{name} must be a name of at most {_LONGEST_NAME} characters, in one line.")
    return value
