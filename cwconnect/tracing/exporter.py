"""How spans reach the collector: OTLP over HTTP (protobuf), by the outbound client, from a thread of its own.

OpenTelemetry's own exporter follows the environment's proxies and redirects, and asks again for as long as 10 s; this
one keeps to the service's rules. The operator named the collector, so its address may be private. What can't be sent
is dropped: a trace is for looking, and nobody waits for it.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.util.re import parse_env_headers

from cwconnect.outbound import Limits, OutboundClient, OutboundError

log = logging.getLogger(__name__)

LIMITS = Limits(connect=2, read=3, total=3, body=64 * 1024)  # of a batch; a process that ends waits for one at most
_ANYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")


class CollectorExporter(SpanExporter):
    """Sends spans to one collector. Used by one thread at a time."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._host = urlsplit(endpoint).hostname or ""
        self._headers = {"content-type": "application/x-protobuf"} | _headers()
        self._failing = self._closing = False
        proxy = None if _is_inside(self._host) else settings.HTTP_PROXY
        self._client = OutboundClient(
            _ANYWHERE, proxy, 1, ca_file=settings.CA_FILE, proxy_hosts=tuple(settings.HTTP_PROXY_HOSTS)
        )

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch, once. The first failure is logged, and that it is over."""
        if self._closing and self._failing:
            return SpanExportResult.FAILURE  # nobody is held up by a collector that is away
        problem = self._send(encode_spans(spans).SerializeToString())
        if problem and not (self._failing or self._closing):
            log.warning("Traces can't be sent to %s, and are dropped until they can: %s", self._host, problem)
        if self._failing and not problem:
            log.info("Traces are sent to %s again.", self._host)
        self._failing = bool(problem)
        return SpanExportResult.FAILURE if problem else SpanExportResult.SUCCESS

    def close(self) -> None:
        """Have what is left sent while that goes well, and no longer."""
        self._closing = True

    def shutdown(self) -> None:
        """Close the connection."""
        self._client.close()

    def _send(self, body: bytes) -> str:
        """Return why it was not taken; empty if it was."""
        try:
            reply = self._client.request(
                "POST", self._endpoint, headers=self._headers, body=body, limits=LIMITS, truncate=True
            )
        except OutboundError as error:
            return str(error)
        return "" if 200 <= reply.status < 300 else f"it answered {reply.status}."


def _headers() -> dict[str, str]:
    """Return the headers that the standard variables name, with credentials for the collector maybe."""
    given = [parse_env_headers(os.environ.get(name, ""), liberal=True) for name in _HEADERS]
    return {name: value for headers in given for name, value in headers.items()}


def _is_inside(host: str) -> bool:
    """Return whether a host has a private address: then it is asked directly, and by the proxy otherwise."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(not ip_address(str(address[0]).partition("%")[0]).is_global for *_, address in found)
