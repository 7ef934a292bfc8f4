"""What `mkdocs build` does beyond its own: documents of the top level become pages, and links lead there.

What the site does not have, such as tests, becomes plain words, as on the service's pages.
"""

from __future__ import annotations

import posixpath
import re
import textwrap
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
TOP = {"CHANGELOG.md": "changelog.md", "SECURITY.md": "security.md", "UPGRADING.md": "upgrading.md"}
DEPLOY = "cwconnect/deploy"
_LISTING = re.compile(r"^(?P<blanks> {2,3})```.*?^(?P=blanks)```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[(?P<words>(?:[^\[\]]|\[[^\]]*\])+)\]\((?P<path>[\w./-]+)(?P<anchor>#[\w-]+)?\)")


def on_files(files: Files, *, config: Any) -> Files:
    """Add the documents of the top level, and what stands under cwconnect/deploy."""
    for name, page in TOP.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    for path in sorted((ROOT / DEPLOY).rglob("*")):
        if path.is_file():
            name = f"files/{path.relative_to(ROOT).as_posix()}"
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Lead each link to where the site has what it names, and keep listings in the items of lists that they are of.

    Markdown in Python wants four blanks before those and an empty line after; GitHub is content with the item's two.
    """
    folder = "" if page.file.src_uri in TOP.values() else "docs"
    markdown = _LISTING.sub(_set_in, markdown)
    return _LINK.sub(lambda link: _placed(link, folder, files), markdown)


def _set_in(listing: re.Match[str]) -> str:
    return textwrap.indent(listing[0], " " * (4 - len(listing["blanks"]))) + "\n"


def _placed(link: re.Match[str], folder: str, files: Files) -> str:
    target = posixpath.normpath(posixpath.join(folder, link["path"]))
    place = TOP.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else f"files/{target}")
    if files.get_file_from_path(place) is None:
        return link["words"]
    return f"[{link['words']}]({place}{link['anchor'] or ''})"
