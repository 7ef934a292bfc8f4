"""Where a person sees a record in ConnectWise itself, as far as that is known for certain.

ConnectWise's web client opens a record by `…/services/system_io/router/openrecord.rails`, on the host of a cloud site
without its `api-` (docs/connectwise.md#where-and-as-whom). Sites on premises may have their web client anywhere, so
they get no link; nor do resources for which no source names the type of record.
"""

from __future__ import annotations

import re
from urllib.parse import urlencode, urlsplit

from cwconnect.connectwise.catalogue import find_resource

_CLOUD = re.compile(r"api-((?:[a-z]{2,8}\.myconnectwise\.net)|(?:staging\.connectwisedev\.com))", re.IGNORECASE)


def web_link(base_url: str, company: str, resource: str, record_id: int) -> str:
    """Return the URL of a record in ConnectWise's web client; empty where it is not known.

    `base_url` and `company` are the instance's, `resource` is the hub's name of the list.
    """
    known = find_resource(resource)
    try:
        parts = urlsplit(base_url)
        host = _CLOUD.fullmatch(parts.hostname or "")
    except ValueError:
        return ""
    if known is None or not known.web_record or host is None or parts.scheme != "https":
        return ""
    query = {"locale": "en_US", "companyName": company, "recordType": known.web_record, "recid": record_id}
    return f"https://{host[1].lower()}/v4_6_release/services/system_io/router/openrecord.rails?{urlencode(query)}"
