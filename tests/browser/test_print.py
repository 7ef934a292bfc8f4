"""What is printed: black on white whatever the theme, without the bar and without buttons."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Site, Window

_COLOURS = """name => getComputedStyle(document.querySelector(name)).getPropertyValue('{}')"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_on_paper_is_words_and_tables(window: Window, site: Site, scheme: str) -> None:
    page = window.page
    window.go(f"/app/instances/{site.instance}")
    page.emulate_media(media="print", color_scheme=scheme)
    for never in (".bar", ".tabs", "button", "a.button", "details.more"):
        assert page.locator(f"{never}:visible").count() == 0, never
    assert page.locator("h1:visible, table:visible").count() >= 2
    colours = [
        page.evaluate(_COLOURS.format(what), name)
        for name, what in (("body", "background-color"), ("body", "color"), (".card a", "color"))
    ]
    assert colours == ["rgb(255, 255, 255)", "rgb(0, 0, 0)", "rgb(0, 0, 0)"]
