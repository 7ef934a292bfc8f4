"""One GET of a list: which rows, in which order, which fields, which page, and the `Link` to the next.

Forward-only pages go by id: `orderBy` and `page` mean nothing to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import quote_plus

from cwconnect.sandbox.children import compile_child_conditions, compile_custom_conditions
from cwconnect.sandbox.conditions import compile_conditions
from cwconnect.sandbox.errors import Headers, Response, bad_condition, refusal, unknown_name
from cwconnect.sandbox.jsontext import Record, dumps
from cwconnect.sandbox.predicates import Predicate, getter
from cwconnect.sandbox.table import Row, Table

PAGE_SIZE, LARGEST_PAGE = 25, 1000
_MOST_COMPILED = 256
Tree = dict[str, "Tree | None"]


@dataclass(frozen=True)
class Ask:
    """A list request: its parameters by lower-case name, as spelled for `Link`, and the URL without them."""

    params: dict[str, str]
    spelled: tuple[tuple[str, str], ...]
    url: str
    forward_only: bool
    largest_page: int = LARGEST_PAGE
    links: bool = True
    raw_controls: bool = False

    def number(self, name: str, default: int) -> int:
        """Return a parameter that must be a whole number."""
        text = self.params.get(name, "").strip() or str(default)
        if not re.fullmatch(r"-?\d{1,18}", text):
            raise refusal(400, "InvalidParameter", f"{name} must be a whole number.")
        return int(text)

    def page_size(self) -> int:
        """Return the rows a page has: 25 unless asked; more than `largest_page` is capped in silence."""
        size = self.number("pagesize", PAGE_SIZE)
        return min(PAGE_SIZE if size < 1 else size, self.largest_page)


def answer_list(table: Table, ask: Ask) -> Response:
    """Return one page of a list as ConnectWise does."""
    rows, links = _forward_page(table, ask) if ask.forward_only else _numbered_page(table, ask)
    # The last page of forward-only paging has a Link without a word: there are clients that go by that.
    headers: Headers = (("Link", ", ".join(links)),) if ask.links and (links or ask.forward_only) else ()
    body = b"[" + b",".join(_bodies(table, rows, ask.params.get("fields", ""))) + b"]"
    return Response(200, body.replace(b"\\u0001", b"\x01") if ask.raw_controls else body, headers)


def answer_count(table: Table, ask: Ask) -> Response:
    """Return `{"count": N}` of the rows that meet the conditions."""
    return Response(200, dumps({"count": sum(1 for _ in _matching(table, ask, None))}))


def project_body(table: Table, row: Row, fields: str) -> bytes:
    """Return one record's JSON with only the fields asked for."""
    return next(iter(_bodies(table, [row], fields)))


def _forward_page(table: Table, ask: Ask) -> tuple[list[Row], list[str]]:
    size = ask.page_size()
    rows = [*islice(_matching(table, ask, ask.number("pageid", 0)), size + 1)]
    if len(rows) <= size:
        return rows, []
    del rows[size:]
    return rows, [_link(ask, "pageId", rows[-1].id, "next")]


def _numbered_page(table: Table, ask: Ask) -> tuple[list[Row], list[str]]:
    size, page = ask.page_size(), max(ask.number("page", 1), 1)
    rows = _ordered(table, [*_matching(table, ask, None)], ask.params.get("orderby", ""))
    last = -(-len(rows) // size)
    links = [_link(ask, "page", page + 1, "next")] if page < last else []
    if last > 1:
        links.append(_link(ask, "page", last, "last"))
    if page > 1:
        links += [_link(ask, "page", page - 1, "prev"), _link(ask, "page", 1, "first")]
    return rows[(page - 1) * size : page * size], links


def _link(ask: Ask, name: str, value: int, relation: str) -> str:
    """ConnectWise's shape: escapes in lower case, the page last."""
    kept = [(key, text) for key, text in ask.spelled if key.lower() not in {"page", "pageid", "pagesize"}]
    pairs = [*kept, ("pageSize", str(ask.page_size())), (name, str(value))]
    query = "&".join(f"{_escape(key)}={_escape(text)}" for key, text in pairs)
    return f'<{ask.url}?{query}>; rel="{relation}"'


def _escape(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote_plus(text, safe="!()*"))


def _matching(table: Table, ask: Ask, after: int | None) -> Iterable[Row]:
    rows = table.visible(after)
    for part in _COMPILERS:
        if ask.params.get(part, "").strip():
            rows = filter(_compiled(table, part, ask.params[part]), rows)
    return rows


def _compiled(table: Table, part: str, text: str) -> Predicate:
    key = f"{part}={text}"
    if key not in table.compiled:
        if len(table.compiled) >= _MOST_COMPILED:
            table.compiled.clear()
        table.compiled[key] = _COMPILERS[part](text, table)
    return table.compiled[key]


def _compile_plain(text: str, table: Table) -> Predicate:
    return compile_conditions(text, table.names, table.record)


_COMPILERS: dict[str, Callable[[str, Table], Predicate]] = {
    "conditions": _compile_plain,
    "childconditions": compile_child_conditions,
    "customfieldconditions": compile_custom_conditions,
}


def _ordered(table: Table, rows: list[Row], order: str) -> list[Row]:
    """Sort by each `name [asc|desc]`, the last first, since sorting is stable; nulls come first, as in SQL Server."""
    for part in reversed([part for part in order.split(",") if part.strip()]):
        name, *direction = part.split()
        field = table.names.find(name)
        if field is None:
            raise unknown_name(name)
        if [word.lower() for word in direction] not in ([], ["asc"], ["desc"]):
            raise bad_condition(f"{part.strip()} is not a valid order.")
        rows.sort(key=_rank_by(getter(field, table.record)), reverse=[*map(str.lower, direction)] == ["desc"])
    return rows


def _rank_by(get: Callable[[Row], Any]) -> Callable[[Row], tuple[int, Any]]:
    return lambda row: _rank(get(row))


def _rank(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    if isinstance(value, bool | int | float):
        return (1, value)
    return (2, str(value).casefold())


def _bodies(table: Table, rows: Iterable[Row], fields: str) -> Iterable[bytes]:
    names = [name.strip().lower() for name in fields.split(",") if name.strip()]
    if not names and not (table.unstamped or table.garbled):
        return (row.body for row in rows)
    if names == ["id"]:
        return (b'{"id":%d}' % row.id for row in rows)
    tree = _tree(names)
    shown = ((row, _project(table.shown(row), tree) if names else table.shown(row)) for row in rows)
    return (table.garble(row, dumps(record)) for row, record in shown)


def _tree(names: list[str]) -> Tree:
    """Make `id,company/name` into `{"id": None, "company": {"name": None}}`; a whole member includes its parts."""
    tree: Tree = {}
    for name in names:
        node, keys = tree, ("_info/lastupdated" if name == "lastupdated" else name).split("/")
        for key in keys[:-1]:
            below = node.setdefault(key, {})
            if below is None:
                break
            node = below
        else:
            node[keys[-1]] = None
    return tree


def _project(record: Record, tree: Tree) -> Record:
    """Keep what the tree names; a name the record lacks is dropped in silence."""
    kept = {}
    for key, value in record.items():
        if key.lower() not in tree:
            continue
        below = tree[key.lower()]
        kept[key] = value if below is None else _inside(value, below)
    return kept


def _inside(value: Any, tree: Tree) -> Any:
    if isinstance(value, dict):
        return _project(value, tree)
    return [_inside(item, tree) for item in value] if isinstance(value, list) else value
