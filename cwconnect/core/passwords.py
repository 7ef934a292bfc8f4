"""Common passwords in disguise: repeated, with digits and signs around them, with digits for letters; and runs of keys.

Django's list of common passwords has few of twelve characters and more, since people are seldom made to type so many;
those who are lengthen a short one.
"""

from __future__ import annotations

import re

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

_LETTERS_FOR = str.maketrans("@4301!5$7", "aaeoiisst")
_KEYS = (
    *("0123456789", "1234567890", "abcdefghijklmnopqrstuvwxyz"),
    *("qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm"),
)
_RUNS = tuple(run * 3 for keys in _KEYS for run in (keys, keys[::-1]))
_FEW = 5  # different characters


class DisguisedPasswordValidator(CommonPasswordValidator):
    """Refuses what a list of common passwords, and a few rules, lead to."""

    def validate(self, password: str, user: object = None) -> None:
        """Raise ValidationError for a common password in disguise."""
        plain = password.lower().strip()
        if len(set(plain)) < _FEW or any(self._is_common(each) for each in (plain, plain.translate(_LETTERS_FOR))):
            raise ValidationError(
                "This password is too easy to guess: a common one, repeated or lengthened.", code="password_too_common"
            )

    def _is_common(self, text: str) -> bool:
        word = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", text)
        return any(part in self.passwords for part in (word, _unit(word), _unit(text))) or any(
            part in run for part in (text, word) if len(part) > _FEW for run in _RUNS
        )

    def get_help_text(self) -> str:
        """Say it beforehand, where Django lists what passwords must be."""
        return "Your password can’t be a common one that is repeated or lengthened."


def _unit(text: str) -> str:
    """Return what the text repeats: `abc` of `abcabc`; the text itself if nothing is repeated."""
    return text[: (text + text).find(text, 1)] if text else text
