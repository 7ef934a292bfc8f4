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
