"""A `where` as ConnectWise's parameters: `conditions`, and `childConditions` for what stands in a record's arrays."""

from __future__ import annotations

from cwconnect.connectwise.catalogue import resource_for_path
from cwconnect.connectwise.ceql.conditions import to_conditions
from cwconnect.connectwise.ceql.emails import split_emails
from cwconnect.connectwise.ceql.tree import Node
from cwconnect.connectwise.resource import COMMON_FIELD_TYPES


def where_params(node: Node, path: str) -> dict[str, str]:
    """Return the parameters that ask the list at ConnectWise's `path` for what `node` chooses.

    Raises `WhereError` for what can't be put to ConnectWise (docs/wire-contract.md#3-ceql-the-language-of-where).
    """
    resource = resource_for_path(path)
    rest, child = split_emails(node) if resource and resource.name == "contacts" else (node, None)
    types = resource.field_types if resource else COMMON_FIELD_TYPES
    params = {} if rest is None else {"conditions": to_conditions(rest, field_types=types)}
    return params if child is None else params | {"childConditions": child}
