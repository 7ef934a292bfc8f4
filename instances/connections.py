"""How ConnectWise is reached for an instance: the process's outbound client, credentials, ConnectWise's client."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache

from django.conf import settings

from cwconnect.connectwise.client import Client
from cwconnect.connectwise.credentials import Credentials
from cwconnect.outbound import Limits, OutboundClient, Reply
from cwconnect.outbound.addresses import Network
from instances.interactive import bounded
from instances.models import Instance

_CONNECTIONS_PER_HOST = 28  # 16 of polls and 12 of deliveries in a worker


class _BoundedClient(OutboundClient):
    """The outbound client of the service: what a web request asks outside keeps to its bounds (interactive.py)."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        limits: Limits,
        auth: tuple[str, str] | None = None,
        truncate: bool = False,
        once: bool = False,
    ) -> Reply:
        """Send one request, as OutboundClient does; TooManyCallsError where too many are under way."""
        return super().request(
            method, url, headers=headers, body=body, limits=bounded(limits), auth=auth, truncate=truncate, once=once
        )


def outbound_client() -> OutboundClient:
    """Return the process's outbound client, as the settings want it; one per process, safe for threads."""
    return _outbound_client(
        os.getpid(),
        tuple(settings.PRIVATE_NETWORKS),
        settings.HTTP_PROXY,
        tuple(settings.HTTP_PROXY_HOSTS),
        settings.CA_FILE,
    )


@lru_cache(maxsize=1)
def _outbound_client(
    process: int, networks: tuple[Network, ...], proxy: str | None, proxy_hosts: tuple[str, ...], ca_file: str | None
) -> OutboundClient:
    # Keyed by process: a worker made by fork must not share its parent's open connections.
    del process
    return _BoundedClient(networks, proxy, _CONNECTIONS_PER_HOST, ca_file=ca_file, proxy_hosts=proxy_hosts)


def credentials_of(instance: Instance) -> Credentials:
    """Open an instance's credentials; the service's own client id where it has none. SecretUnreadableError."""
    return make_credentials(
        instance.base_url,
        instance.company,
        instance.public_key.reveal(),
        instance.private_key.reveal(),
        instance.client_id,
    )


def make_credentials(base_url: str, company: str, public_key: str, private_key: str, client_id: str) -> Credentials:
    """Return credentials from plain values; the service's own client id where none is given."""
    return Credentials(
        base_url=base_url,
        company=company,
        public_key=public_key,
        private_key=private_key,
        client_id=client_id or settings.CONNECTWISE_CLIENT_ID,
    )


def client_for(owner: Instance | Credentials) -> Client:
    """Return a client for an instance, or for credentials that no instance holds yet."""
    return Client(credentials_of(owner) if isinstance(owner, Instance) else owner, outbound_client())
