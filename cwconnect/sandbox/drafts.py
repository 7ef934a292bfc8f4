"""What a write makes of a record: which members count, of which types, what is filled in (docs/connectwise.md#writes).

Nothing is stored here. What can't be taken is refused by one answer that names every field.
"""

from __future__ import annotations

from dataclasses import dataclass

from cwconnect.sandbox import custom_fields, errors
from cwconnect.sandbox.catalogue import API_MEMBER, ListSpec
from cwconnect.sandbox.custom_fields import MEMBER as CUSTOM_FIELDS
from cwconnect.sandbox.field_types import FieldType, RecordType, record_type
from cwconnect.sandbox.jsontext import Record
from cwconnect.sandbox.patching import apply_patch
from cwconnect.sandbox.records import make_record
from cwconnect.sandbox.references import NoSuchRecordError, resolved
from cwconnect.sandbox.store import Store
from cwconnect.sandbox.table import Table
from cwconnect.sandbox.timestamps import to_text
from cwconnect.sandbox.values import Problem, UnfitValueError, plain_value

_UNWRITTEN = {"id", "_info", CUSTOM_FIELDS}
_PLAIN = FieldType("o")
# What ConnectWise fills in where a new record leaves it out; a reference to nothing is left out again.
_DEFAULTS: dict[str, Record] = {
    "/service/tickets": {
        "recordType": "ServiceTicket",
        "board": {"id": 1},
        "status": {"name": "New"},
        "priority": {"id": 3},
        "severity": "Medium",
        "impact": "Medium",
    },
    "/project/tickets": {"board": {"id": 4}, "status": {"name": "New"}, "priority": {"id": 3}},
    "/sales/opportunities": {"status": {"id": 1}, "stage": {"id": 1}},
    "/sales/activities": {"status": {"id": 1}, "type": {"id": 1}},
    "/company/companies": {"status": {"id": 1}},
    "/time/entries": {"billableOption": "Billable", "status": "Open"},
}


def lacking_fields(spec: ListSpec, record: Record) -> list[Problem]:
    """Return what a record lacks of the fields that its list requires."""
    return [
        Problem("MissingRequiredField", f"The {name} field is required.", name)
        for name in spec.required
        if record.get(name) in (None, "")
    ]


@dataclass(frozen=True)
class Draft:
    """A write to a record of one list."""

    store: Store
    table: Table

    @property
    def spec(self) -> ListSpec:
        """The list."""
        return self.table.spec

    @property
    def type(self) -> RecordType | None:
        """The type of the list's records; None for a list that is not of ConnectWise's."""
        return record_type(self.spec.path)

    def new(self, given: Record) -> Record:
        """Return the record that a POST of `given` makes; 400."""
        now = self.store.now()
        made = make_record(self.spec, self.store.seed, self.table.next_id, now, now)
        kept = {key: made[key] for key in ("id", "dateEntered", *self.spec.linking) if key in made}
        taken = self._taken(given, kept, None)
        left_out = {name: value for name, value in _DEFAULTS.get(self.spec.path, {}).items() if name not in taken}
        filled, _ = self._members(left_out, taken)
        written = {"createdBy": API_MEMBER, "dateCreated": to_text(now)}
        written = {key: text for key, text in written.items() if self.type and key in self.type.fields}
        self.table.take_id()
        info = made.get("_info")
        names = {name: API_MEMBER for name in ("updatedBy", "enteredBy") if name in (info or {})}
        return kept | self._flags() | filled | written | taken | ({} if info is None else {"_info": info | names})

    def replaced(self, record: Record, given: Record) -> Record:
        """Return what a PUT of `given` makes of a record: what is left out is reset, but for custom fields; 400."""
        kept = {key: record[key] for key in ("id", "dateEntered", *self.spec.linking) if key in record}
        info = {"_info": record["_info"]} if "_info" in record else {}
        return kept | self._flags() | self._taken(given, kept, record.get(CUSTOM_FIELDS)) | info

    def patched(self, record: Record, patch: object) -> Record | None:
        """Return what a PATCH makes of a record; None where nothing changes; 400."""
        held, changed = record.get(CUSTOM_FIELDS), {**record, CUSTOM_FIELDS: [*(record.get(CUSTOM_FIELDS) or [])]}
        touched = apply_patch(changed, patch, self.spec.resource, self._is_known)
        if held and self.store.patch_needs_custom_fields and CUSTOM_FIELDS not in touched:
            raise errors.invalid_object(self.spec.resource, "customFields must be replaced.", field=CUSTOM_FIELDS)
        if not touched:
            return None
        given = {name: changed.get(name) for name in touched}
        rest = {name: value for name, value in record.items() if name not in touched and name != CUSTOM_FIELDS}
        info = {"_info": rest.pop("_info")} if "_info" in rest else {}
        return rest | self._taken(given, rest, held) | info

    def _is_known(self, name: str) -> bool:
        """Whether a record may have a member of this name, in this case."""
        found = self.table.names.find(name)
        if self.type is None:
            return found is None or found.keys == (name,)
        return name in self.type.fields or (found is not None and found.keys == (name,))

    def _flags(self) -> Record:
        """The members that are false where nobody says otherwise."""
        shown = make_record(self.spec, self.store.seed, self.table.next_id, self.store.now())
        return {key: False for key, value in shown.items() if isinstance(value, bool)}

    def _taken(self, given: Record, record: Record, held: object) -> Record:
        """Return the members that are written, custom fields last, as stored; 400 for what can't be taken."""
        members, problems = self._members(given, record)
        named = {self._spelled(name): value for name, value in given.items()}
        fields = [] if named.get(CUSTOM_FIELDS) is None else named[CUSTOM_FIELDS]
        if not isinstance(fields, list):
            problems.append(Problem("InvalidField", "An array is wanted.", CUSTOM_FIELDS))
            fields = []
        definitions = custom_fields.definitions_for(self.store, self.spec.path)
        merged, more = custom_fields.merged(definitions, held, fields)
        faulty = {problem.field for problem in problems}
        lacking = [problem for problem in lacking_fields(self.spec, record | members) if problem.field not in faulty]
        if lacking or problems or more:
            raise errors.invalid_fields(self.spec.resource, [*lacking, *problems, *more])
        return members | ({CUSTOM_FIELDS: merged} if merged else {})

    def _spelled(self, name: str) -> str:
        return self.type.spelled(name) if self.type else name

    def _members(self, given: Record, record: Record) -> tuple[Record, list[Problem]]:
        """Return the members of `given` that ConnectWise knows, as stored and without nulls, and what is wrong."""
        fields = self.type.fields if self.type else {}
        named = {self._spelled(name): value for name, value in given.items()}
        members: Record = {}
        problems, whole = [], record | named
        # What leads into a list beneath another reference, such as a board's statuses, comes after that.
        for name in sorted(named, key=lambda name: "{" in fields[name].target if name in fields else False):
            if name in _UNWRITTEN or (self.type and name not in fields and not self._is_known(name)):
                continue
            field = fields.get(name, _PLAIN)
            try:
                value = (
                    resolved(self.store, named[name], field, whole)
                    if field.kind == "r"
                    else plain_value(name, named[name], field)
                )
            except UnfitValueError as error:
                problems.append(Problem("InvalidField", str(error), name))
            except NoSuchRecordError as error:
                problems.append(Problem("NotFound", str(error), name))
            else:
                whole[name] = value
                members |= {} if value is None else {name: value}
        return {name: members[name] for name in named if name in members}, problems
