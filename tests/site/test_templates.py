"""Templates that can be read and compared: no line is longer than one of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from cwconnect.settings import BASE_DIR

LONGEST = 120
TEMPLATES = sorted((BASE_DIR / "templates").rglob("*.html"))


def test_there_are_templates() -> None:
    assert len(TEMPLATES) > 50


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_no_line_is_too_long(template: Path) -> None:
    lines = template.read_text().splitlines()
    assert [(number, len(line)) for number, line in enumerate(lines, 1) if len(line) > LONGEST] == []
