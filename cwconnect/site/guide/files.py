"""Files that documents lead to: the receivers, and what stands under `cwconnect/deploy`; each by its path there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.conf import settings
from django.utils.safestring import SafeString
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound

from cwconnect.site.guide.highlight import highlighted

# Of names, since a folder of a running service may hold what was put beside: keys, an editor's copies.
_SHOWN = (".conf", ".cs", ".json", ".mjs", ".php", ".ps1", ".py", ".service", ".tpl", ".txt", ".yaml", ".yml")
_NAMES = {
    ".tpl": "yaml",
    ".service": "ini",
    ".conf": "nginx",
}  # where Pygments would say else


def find_file(path: str) -> Path | None:
    """Return the file of that path within the checkout; None if it is none that is shown."""
    return _files().get(path)


def code_of_file(path: str, file: Path) -> SafeString:
    """Return a file in colours."""
    return highlighted(file.read_text(encoding="utf-8"), _language(path, file.suffix))


@cache
def _files() -> dict[str, Path]:
    """Return what is shown: names that were listed are all that is ever opened, whatever is asked for."""
    folders = {
        "docs/receivers": Path(settings.BASE_DIR) / "docs" / "receivers",
        "cwconnect/deploy": Path(__file__).parents[2] / "deploy",
    }
    return {
        f"{path}/{file.relative_to(folder).as_posix()}": file
        for path, folder in folders.items()
        for file in sorted(folder.rglob("*"))
        if file.suffix in _SHOWN and file.is_file()
    }


def _language(path: str, suffix: str) -> str:
    if suffix in _NAMES:
        return _NAMES[suffix]
    try:
        return str(get_lexer_for_filename(path).aliases[0])
    except ClassNotFound:
        return "text"
