"""The dead man's switch: CWCONNECT_HEARTBEAT_URL is called each minute while all is well, and only then.

Whoever listens there raises the alarm when the calls stop, and so also when this machine, its network or this very
job is what failed. All is well when every part is that `/readyz` looks at.
"""

from __future__ import annotations

import logging
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings

from cwconnect.outbound import Limits, OutboundError
from cwconnect.site.health import examine
from instances.connections import outbound_client

log = logging.getLogger(__name__)

LIMITS = Limits(connect=5, read=10, total=10, body=64 * 1024)


def ping_healthcheck(now: datetime) -> bool:
    """Call the URL if there is one and all is well; give whether it took the call."""
    url = settings.HEARTBEAT_URL
    if not url:
        return False
    if failing := [f"{part.name}: {part.message}" for part in examine(now) if not part.ok]:
        log.warning("The heartbeat URL is not called: %s", "; ".join(failing))
        return False
    try:
        reply = outbound_client().request("GET", url, headers={}, limits=LIMITS, truncate=True)
    except OutboundError as error:
        log.warning("The heartbeat URL could not be called: %s", error)
        return False
    if not 200 <= reply.status < 300:
        # Its host alone: the path of such a URL is what authorizes the caller.
        log.warning("The heartbeat URL at %s answered %s.", urlsplit(url).hostname, reply.status)
        return False
    return True
