"""Presses of the mouse, counted by the browser itself, so that a test can hold a task to the few that it may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.browser.conftest import Window

# In the window's storage, which outlives its pages. Keys cost no press; a choice in a list that unfolds costs two,
# also where a test makes it without unfolding the list.
_COUNT = """(() => {
    if (window.counts) return; // a window has the script once more for each task
    window.counts = true;
    const more = (by) => sessionStorage.setItem('presses', String(Number(sessionStorage.presses || 0) + by));
    let typed = -Infinity;
    addEventListener('keydown', () => { typed = performance.now(); }, true);
    addEventListener('pointerdown', (event) => { if (event.isTrusted) more(1); }, true);
    addEventListener('change', (event) => {
        if (event.target.tagName === 'SELECT' && performance.now() - typed > 500) more(2);
    }, true);
})()"""


@contextmanager
def at_most(window: Window, clicks: int) -> Iterator[None]:
    """Fail if what is done with the window takes more clicks than that."""
    window.page.add_init_script(_COUNT)
    window.page.reload()
    window.page.evaluate("sessionStorage.removeItem('presses')")
    yield
    taken = int(window.page.evaluate("sessionStorage.presses || 0"))
    assert taken <= clicks, f"it took {taken} clicks"
