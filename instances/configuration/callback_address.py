"""Where ConnectWise's callbacks reach this service: an address of ours that ConnectWise can call.

CWCONNECT_CALLBACK_URL says it where it differs from the one that people use, CWCONNECT_PUBLIC_URL.
"""

from __future__ import annotations

from django.conf import settings

from cwconnect.core.env import is_https_or_local

CALLBACK_PATH = "/callbacks/connectwise/"
NEEDED = (
    "needs an https address at which ConnectWise reaches this service: set CWCONNECT_PUBLIC_URL, or "
    "CWCONNECT_CALLBACK_URL where ConnectWise is to use another"
)


def callback_base() -> str:
    """Return the address without a slash at its end; blank where there is none that ConnectWise could use."""
    url = settings.CALLBACK_URL or settings.PUBLIC_URL
    return url if is_https_or_local(url) else ""
