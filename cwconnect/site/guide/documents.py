"""The documents as pages: which there are, and each rendered once a process."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from django.conf import settings
from django.urls import reverse

from cwconnect.site.guide.files import find_file
from cwconnect.site.guide.markdown import Section, sections


@dataclass(frozen=True)
class Document:
    """One document: the name of its file without the suffix, its title, and what it is good for."""

    name: str
    title: str
    words: str


HOME = "index"
DOCUMENTS = (
    Document(HOME, "Documents", "What there is to read, and where to begin."),
    Document("receivers", "Receivers", "How to write what cwconnect notifies: verify, answer, repeats, order."),
    Document("wire-contract", "The wire contract", "What is sent and received: calls, keys, notifications, retries."),
    Document("hub", "The hub", "Reading and writing ConnectWise through an instance, by example."),
    Document("catalogue", "Catalogue", "Every list of ConnectWise that is watched by name, and what is left out."),
    Document("migrating", "Migrating", "Moving over from Cloud Elements, AMPLIFY or Open Connectors."),
    Document("sandbox", "The sandbox", "A ConnectWise to develop and test against, with every fault that you order."),
    Document("operations", "Operations", "Settings, commands, sizing, metrics, backup, upgrading."),
    Document("connectwise", "ConnectWise’s REST API", "What its answers look like, its errors and limits, callbacks."),
    Document("architecture", "Architecture", "What cwconnect promises, and the rules by which it keeps it."),
    Document("glossary", "Glossary", "Every term, in a sentence."),
)
_BY_NAME = {document.name: document for document in DOCUMENTS}
_LINK = re.compile(r"(?P<path>[\w./-]*)(?P<anchor>#[\w-]+)?")


def find_document(name: str) -> Document | None:
    """Return a document by its name; None if there is none."""
    return _BY_NAME.get(name)


@cache
def rendered(name: str) -> list[Section]:
    """Return a document's sections; for names of `DOCUMENTS` alone, since each is kept."""
    text = (Path(settings.BASE_DIR) / "docs" / f"{name}.md").read_text(encoding="utf-8")
    return sections(text, partial(place_of, "docs"))


def section(name: str, anchor: str) -> Section:
    """Return one section of a document; LookupError if it has none of that anchor."""
    found = next((each for each in rendered(name) if each.anchor == anchor), None)
    if found is None:
        raise LookupError(f"docs/{name}.md has no section {anchor}")
    return found


def place_of(folder: str, link: str) -> str | None:
    """Return where a link of a document in `folder` leads on the pages; None for what the service does not carry."""
    matched = _LINK.fullmatch(link)
    if matched is None:
        return None
    path, anchor = matched["path"], matched["anchor"] or ""
    if not path:
        return anchor
    target = posixpath.normpath(posixpath.join(folder, path))
    name = target.removeprefix("docs/").removesuffix(".md")
    if name in _BY_NAME:
        return address_of(name) + anchor
    return reverse("help-file", args=[target]) if find_file(target) else None


def address_of(name: str) -> str:
    """Return the address of a document's page."""
    return reverse("help-home") if name == HOME else reverse("help-document", args=[name])
