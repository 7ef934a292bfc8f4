"""The login of one ConnectWise site: four values from the user, one from ConnectWise's developer network."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from cwconnect.core.redact import redactor


@dataclass(frozen=True)
class Credentials:
    """A login (docs/connectwise.md#where-and-as-whom). `base_url` ends with the path; the keys stay out of repr.

    `hidden` are further secrets that requests of it carry: they are masked as the keys are.
    """

    base_url: str
    company: str
    public_key: str = field(repr=False)
    private_key: str = field(repr=False)
    client_id: str = field(default="", repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)

    @property
    def authorization(self) -> str:
        """The Authorization header: Basic, with `company+publicKey` as the user."""
        return f"Basic {base64.b64encode(self._login.encode()).decode()}"

    def mask(self, text: str, *, cut: bool = False) -> str:
        """Return the text with every form of a secret that it may quote replaced by asterisks (core/redact.py)."""
        return redactor((self._login, self.private_key, self.public_key, self.client_id, *self.hidden))(text, cut=cut)

    @property
    def _login(self) -> str:
        return f"{self.company}+{self.public_key}:{self.private_key}"
