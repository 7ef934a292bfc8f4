"""Where templates, documents and data lie: in a checkout beside the packages, in a wheel within the package.

The wheel maps the checkout's folders into the package (`tool.hatch.build.targets.wheel` in pyproject.toml).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_MAPPED = "templates"  # in a checkout no folder of this name is within the package
_PACKAGE = Path(__file__).resolve().parent.parent


def is_installed(package: Path) -> bool:
    """Return whether the package's folder came out of a wheel, and is no checkout's."""
    return (package / _MAPPED).is_dir()


def base_folder(package: Path) -> Path:
    """Return the folder that holds `templates` and `docs`."""
    return package if is_installed(package) else package.parent


def data_folder(package: Path, environ: Mapping[str, str]) -> Path:
    """Return where data is kept unless a setting says otherwise: a checkout's `var`, or the user's own data folder.

    The latter as the XDG Base Directory Specification has it, relative paths left out. ImproperlyConfigured where the
    user has no home.
    """
    if not is_installed(package):
        return package.parent / "var"
    named = Path(environ.get("XDG_DATA_HOME", ""))
    try:
        return (named if named.is_absolute() else Path.home() / ".local" / "share") / "cwconnect"
    except RuntimeError:
        raise ImproperlyConfigured("CWCONNECT_DATA_DIR must be set: this user has no home folder.") from None


PROGRAM = "cwconnect" if is_installed(_PACKAGE) else "manage.py"  # what people are asked to type
