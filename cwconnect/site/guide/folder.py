"""Where the documents lie: beside the code in a checkout, under the environment's `share/cwconnect` where installed."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from django.conf import settings

_INSTALLED = "share/cwconnect/docs"  # as pyproject.toml's data-files have it
_SURELY_THERE = "receivers.md"


@cache
def docs_folder() -> Path:
    """Return the folder of the documents; FileNotFoundError where the service was installed without them."""
    checkout = Path(settings.BASE_DIR) / "docs"
    if (checkout / _SURELY_THERE).is_file():
        return checkout
    installed = installed_folder()
    if installed is None:
        raise FileNotFoundError(f"neither {checkout} nor the installed package has {_SURELY_THERE}")
    return installed


def installed_folder() -> Path | None:
    """Return where the package's installer put the documents, by its own record; None if it did not."""
    try:
        listed = files("cwconnect") or []
    except PackageNotFoundError:
        return None
    found = (Path(str(each.locate())) for each in listed if each.as_posix().endswith(f"{_INSTALLED}/{_SURELY_THERE}"))
    return next((path.resolve().parent for path in found if path.is_file()), None)
