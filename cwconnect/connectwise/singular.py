"""What one record of a resource is called: `contacts` are each a `contact`, `company-statuses` a `company-status`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from cwconnect.connectwise.catalogue import find_resource

_ODD: Final = {"units-of-measure": "unit-of-measure"}
_ENDINGS: Final = (
    ("ies", "y"),  # opportunities
    ("tuses", "tus"),  # statuses
    ("ches", "ch"),  # batches
    ("s", ""),
)
_OTHER_SIGNS: Final = re.compile(r"[\W_]+")


@lru_cache(maxsize=4096)
def singular_of(name: str) -> str:
    """Return what one record is called of a resource of this name, in small letters, digits and hyphens.

    A name or alias of the catalogue is put into the singular. One that a user made up is anybody's word, so it stays as
    it is, but for case and signs: `VIP contacts (EU)` gives `vip-contacts-eu`, and one of signs alone `record`.
    """
    plain = _OTHER_SIGNS.sub("-", name.lower()).strip("-")
    if find_resource(name) is None:
        return plain or "record"
    if plain in _ODD:
        return _ODD[plain]
    ending, one = next(((ending, one) for ending, one in _ENDINGS if plain.endswith(ending)), ("", ""))
    return plain.removesuffix(ending) + one
