"""The login of one ConnectWise site: four values from the user, one from ConnectWise's developer network."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import quote


@dataclass(frozen=True)
class Credentials:
    """A login (docs/connectwise.md#where-and-as-whom). `base_url` ends with the path; the keys stay out of repr."""

    base_url: str
    company: str
    public_key: str = field(repr=False)
    private_key: str = field(repr=False)
    client_id: str = field(default="", repr=False)

    @property
    def authorization(self) -> str:
        """The Authorization header: Basic, with `company+publicKey` as the user."""
        return f"Basic {self._encoded}"

    def mask(self, text: str) -> str:
        """Return the text with every form of a secret that it may quote replaced by asterisks."""
        for secret in (self._encoded, self.private_key, self.public_key, self.client_id):
            for form in {secret, quote(secret, safe="")}:
                if len(form) > 3:  # shorter ones would only blot out ordinary words
                    text = text.replace(form, "********")
        return text

    @property
    def _encoded(self) -> str:
        return base64.b64encode(f"{self.company}+{self.public_key}:{self.private_key}".encode()).decode()
