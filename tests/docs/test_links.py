"""Every link of the documents leads somewhere, and so does every citation of a document in the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
DOCUMENTS = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})
_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)")
_CITATION = re.compile(r"\b(docs/[\w/-]+\.\w+)(?:#([\w-]+))?")


def anchors_of(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def leads_somewhere(target: Path, anchor: str) -> bool:
    return target.exists() and (not anchor or anchor in anchors_of(target))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    links = _LINK.findall(document.read_text(encoding="utf-8"))
    broken = [
        f"{path}#{anchor}"
        for path, anchor in links
        if not leads_somewhere((document.parent / path) if path else document, anchor)
    ]
    assert broken == []


def test_every_citation_in_code_leads_somewhere() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py", "*.html", "*.toml"], cwd=ROOT, capture_output=True, text=True)
    files = [ROOT / name for name in listed.stdout.split()] or list(ROOT.rglob("*/*.py"))
    broken = [
        f"{file.relative_to(ROOT)}: {path}#{anchor}"
        for file in files
        if file.exists() and file != Path(__file__)
        for path, anchor in _CITATION.findall(file.read_text(encoding="utf-8"))
        if not leads_somewhere(ROOT / path, anchor)
    ]
    assert broken == []


def test_code_cites_documents_by_file_and_heading() -> None:
    old = re.compile(r"contract(?:'s|,)? §|(?<!docs/)\bconnectwise\.md\b|\bdesign\.md\b|\(the design\b|the design's")
    code = [path for app in ("cwconnect", "instances", "polling") for path in (ROOT / app).rglob("*.py")]
    assert [path for path in code if old.search(path.read_text(encoding="utf-8"))] == []
