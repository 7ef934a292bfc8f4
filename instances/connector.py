"""The one connector of the catalogue, in the product's own words and ids."""

from __future__ import annotations

from typing import Any, Final

KEY: Final = "connectwisecrmrest"
ELEMENT: Final[dict[str, Any]] = {
    "id": 3012,
    "name": "ConnectWise CRM REST",
    "key": KEY,
    "hub": "crm",
    "active": True,
    "deleted": False,
    "typeOauth": False,
    "authentication": {"type": "custom"},
    "protocolType": "http",
}
DESCRIPTION: Final = "Reads ConnectWise PSA and tells of changes, found by polling."
HUB: Final[dict[str, Any]] = {
    "id": 1,
    "key": ELEMENT["hub"],
    "name": "CRM",
    "description": "Customers, contacts and what is done for them.",
    "active": True,
}
