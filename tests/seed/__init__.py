"""The two bodies of the page that users of ConnectWise events know, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FIRST_BODY = (HERE / "first_body.json").read_text(encoding="utf-8")
EXAMPLE = (HERE / "example_with_polling.json").read_text(encoding="utf-8")


def example_for(base_url: str, callback_url: str = "http://mycoolapp.com") -> str:
    """Return the example with its five values replaced by those of a sandbox, and not a byte more."""
    values = {
        "https://api-cloudelements/v4_6_release/apis/3.0": base_url,
        '"company": "cloudelements"': '"company": "acme"',
        '"public.key": "xxxxxxxx"': '"public.key": "PUB"',
        '"private.key": "xxxxxxxxxxxxxxxxxx"': '"private.key": "PRIV"',
        "http://mycoolapp.com": callback_url,
    }
    text = EXAMPLE
    for old, new in values.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def example_body(base_url: str, **configuration: Any) -> dict[str, Any]:
    """Return the example as a value, with the given configuration keys in it; dots are written `__`."""
    body: dict[str, Any] = json.loads(example_for(base_url))
    body["configuration"] |= {key.replace("__", "."): value for key, value in configuration.items()}
    return body
