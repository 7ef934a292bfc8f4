"""How a sign-in by an issuer can fail: a sentence for the person, a short word for the log. Neither holds a secret."""

from __future__ import annotations


class IssuerError(Exception):
    """The sign-in ends here. `message` says what is so and what to do; `kind` is what stands in the log."""

    def __init__(self, kind: str, message: str, status: int = 403) -> None:
        super().__init__(kind)
        self.kind, self.message, self.status = kind, message, status


def not_begun() -> IssuerError:
    """Return what is said of a `state` that this browser was not sent with, or brought already."""
    return IssuerError(
        "state",
        "This sign-in was not begun in this browser, or it was finished already, or it took longer than ten minutes. "
        "Begin it anew.",
        400,
    )


def unproven(kind: str) -> IssuerError:
    """Return what is said of an answer that is not what the issuer would give to this very sign-in."""
    return IssuerError(
        kind, "What came back does not prove who you are, so you are not signed in. Begin the sign-in anew."
    )


def away(kind: str) -> IssuerError:
    """Return what is said where the issuer can't be asked, or its answer can't be read."""
    return IssuerError(
        kind, "The issuer can’t be asked just now, or its answer can’t be read. Try again in some minutes.", 502
    )
