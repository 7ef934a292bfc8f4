"""The receivers of `docs/receivers/`, by language: complete programs that verify, keep, answer and then work."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings


@dataclass(frozen=True)
class Language:
    """One language: its key in addresses, which Pygments knows too, its name and its file."""

    key: str
    name: str
    file: str


LANGUAGES = (
    Language("python", "Python", "receiver.py"),
    Language("javascript", "JavaScript", "receiver.mjs"),
    Language("csharp", "C#", "Receiver.cs"),
    Language("php", "PHP", "receiver.php"),
    Language("powershell", "PowerShell", "receiver.ps1"),
)


def find_language(key: str) -> Language:
    """Return a language by its key; the first for any other."""
    return next((language for language in LANGUAGES if language.key == key), LANGUAGES[0])


def language_of_file(name: str) -> Language | None:
    """Return the language whose receiver is called `name`; None if there is none."""
    return next((language for language in LANGUAGES if language.file == name), None)


@cache
def code_of(language: Language) -> str:
    """Return the receiver's text."""
    return (Path(settings.BASE_DIR) / "docs" / "receivers" / language.file).read_text(encoding="utf-8")
