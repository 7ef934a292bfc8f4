"""Parts of pages that refresh themselves, in a real browser: what they ask, how often, and what they show meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import Site, Window
from tests.support.services import wait_until

pytestmark = pytest.mark.timeout(180)
HIDE = """(hidden) => {
    Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


BANNER = "app/engine"


class Asked:
    """What a page asks for, and the answers that have come, on a clock that stands still by itself."""

    def __init__(self, window: Window, path: str) -> None:
        self.page, self.open, self.answers = window.page, set[Any](), list[tuple[str, int]]()
        self.page.clock.install()
        window.go(path)
        self.page.wait_for_load_state("networkidle")
        self.page.clock.pause_at(self.page.evaluate("Date.now() / 1000") + 3)
        self.page.on("request", self._note_question)
        self.page.on("response", self._note_answer)

    def _note_question(self, question: Any) -> None:
        self.open.add(question)

    def _note_answer(self, answer: Any) -> None:
        self.open.discard(answer.request)
        self.answers.append((answer.url.split("/", 3)[3].split("?")[0], answer.status))

    def let_pass(self, seconds: int) -> None:
        """Let time pass second by second, so that each answer comes before the next question."""
        for _ in range(seconds):
            self.page.clock.run_for(1000)
            self.settle()

    def settle(self) -> None:
        """Wait until all questions are answered."""
        wait_until(lambda: self.page.evaluate("1") and not self.open, 30, "the answers")

    def paths(self) -> list[str]:
        """Return what was answered since the last call, but for the banner, which asks on every page."""
        found, self.answers = [path for path, _ in self.answers if path != BANNER], []
        return found


@pytest.fixture
def opened(window: Window) -> Callable[[str], Asked]:
    """Open a page, and follow what it asks."""
    return lambda path: Asked(window, path)


def test_a_tab_asks_for_news_alone(opened: Callable[[str], Asked]) -> None:
    asked = opened("/")
    asked.let_pass(5)
    asked.paths()
    asked.let_pass(15)
    assert [path for path, _ in asked.answers] == ["", "", ""]
    assert 304 in [status for _, status in asked.answers]


def test_a_tab_that_nobody_sees_asks_rarely_and_at_once_when_it_is_seen(
    site: Site, opened: Callable[[str], Asked]
) -> None:
    asked = opened(f"/app/instances/{site.instance}")
    table = f"app/instances/{site.instance}"
    callbacks, stream = f"{table}/callbacks", f"{table}/stream"
    for _ in range(3):
        asked.let_pass(3)
    seen = asked.paths()
    assert seen.count(stream) >= 2
    asked.page.evaluate(HIDE, True)
    asked.let_pass(125)
    assert [path for path, _ in asked.answers].count(BANNER) <= 2
    assert sorted(asked.paths()) == [table, table, callbacks, callbacks, stream, stream]
    asked.page.evaluate(HIDE, False)
    asked.settle()
    assert sorted(asked.paths()) == [table, callbacks, stream]


def test_times_go_on_while_nothing_is_new(opened: Callable[[str], Asked]) -> None:
    asked = opened("/app/instances")
    age = asked.page.locator("time[data-passing=age]").first
    before = age.inner_text()
    asked.let_pass(61)
    assert age.inner_text() != before
    assert age.inner_text().endswith("min")
    assert asked.paths() == []
