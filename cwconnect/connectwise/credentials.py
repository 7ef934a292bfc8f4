"""The login of one ConnectWise site: four values from the user, one from ConnectWise's developer network."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import quote

from urllib3.util import parse_url


@dataclass(frozen=True)
class Credentials:
    """Where and as whom (connectwise.md). `base_url` as `normalise_base_url` gives it; the keys stay out of repr."""

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
        """Give the text with every form of a secret that it may quote replaced by asterisks."""
        for secret in (self._encoded, self.private_key, self.public_key, self.client_id):
            for form in {secret, quote(secret, safe="")}:
                if len(form) > 3:  # shorter ones would only blot out ordinary words
                    text = text.replace(form, "********")
        return text

    @property
    def _encoded(self) -> str:
        return base64.b64encode(f"{self.company}+{self.public_key}:{self.private_key}".encode()).decode()


def normalise_base_url(text: str) -> str:
    """Give the base URL without surrounding blanks and trailing slashes (contract §2).

    Raises `ValueError`, with a sentence, unless it is http or https with a host, and without credentials or a query.
    """
    url = text.strip().rstrip("/")
    try:
        parsed = parse_url(url)
    except ValueError:
        raise ValueError("baseUrl can't be read as a URL.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("baseUrl must begin with https:// (or http://) and name a host.")
    if parsed.auth is not None:
        raise ValueError("baseUrl holds credentials; they belong into company, public.key and private.key.")
    if parsed.query is not None or parsed.fragment is not None or any(character.isspace() for character in url):
        raise ValueError("baseUrl must end with the path, like https://api-na.myconnectwise.net/v4_6_release/apis/3.0.")
    return url
