"""The documents as a site: it builds without a warning, shows what GitHub shows, and asks nothing of elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from tests.support.services import ROOT

WITH_MKDOCS = pytest.mark.skipif(find_spec("material") is None, reason="mkdocs is not installed: the extra docs has it")
TOP = ("CHANGELOG.md", "SECURITY.md", "UPGRADING.md")
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in TOP)]
_OUTSIDE = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?(?:https?:)?//|<link[^>]*\shref=["']?(?:https?:)?//"""
)
_FETCHED = re.compile(r"""(?:url\(|@import\s)\s*["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def pages_in(listed: object) -> list[str]:
    """Return the pages of a `nav`, whatever they stand under."""
    if isinstance(listed, str):
        return [listed]
    parts = listed.values() if isinstance(listed, dict) else listed
    assert isinstance(parts, (list, type({}.values())))
    return [page for part in parts for page in pages_in(part)]


def test_the_navigation_leads_to_every_document() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = yaml.safe_load("nav:" + text.partition("\nnav:")[2])["nav"]
    assert sorted(pages_in(nav)) == sorted(path.name.lower() for path in DOCUMENTS)


def counted(html: str) -> dict[str, int]:
    return {tag: len(re.findall(rf"<{tag}[ >]", html)) for tag in ("h2", "h3", "li", "pre", "tr")}


@WITH_MKDOCS
def test_the_site_shows_of_each_document_what_github_shows(site: Path) -> None:
    github = MarkdownIt("commonmark", {"html": False}).enable("table")
    for document in DOCUMENTS:
        page = (site / document.with_suffix(".html").name.lower()).read_text(encoding="utf-8")
        article = page.partition("<article")[2].partition("</article>")[0]
        assert counted(article) == counted(github.render(document.read_text(encoding="utf-8"))), document.name


@WITH_MKDOCS
def test_the_site_asks_nothing_of_elsewhere(site: Path) -> None:
    pages = [path.read_text(encoding="utf-8") for path in site.rglob("*.html")]
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert len(pages) > len(DOCUMENTS)
    assert styles
    assert [found for text in pages for found in _OUTSIDE.findall(text)] == []
    assert [found for text in styles + pages for found in _FETCHED.findall(text)] == []
    assert not any('class="mermaid"' in text for text in pages)  # which the theme's script would load a library for
    assert (site / "search" / "search_index.json").is_file()


@WITH_MKDOCS
def test_every_link_of_the_site_leads_to_a_file_of_it(site: Path) -> None:
    broken = {
        f"{page.name}: {target}"
        for page in site.glob("*.html")
        if page.name != "404.html"  # its links are of the site's root
        for target in re.findall(r'<a [^>]*href="([^"#?]+)', page.read_text(encoding="utf-8"))
        if not re.match(r"https?://|mailto:", target) and not (page.parent / target).exists()
    }
    assert broken == set()
    assert (site / "files" / "cwconnect" / "deploy" / "nginx.conf").is_file()
    assert (site / "receivers" / "receiver.py").is_file()
    assert not (site / "site").exists()
