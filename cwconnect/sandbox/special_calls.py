"""Lists whose writes do more than others: contacts, definitions of custom fields, and what is attached to a parent."""

from __future__ import annotations

from cwconnect.sandbox import custom_fields, errors
from cwconnect.sandbox.calls import Call
from cwconnect.sandbox.catalogue import API_MEMBER, CATALOGUE
from cwconnect.sandbox.jsontext import Record, loads
from cwconnect.sandbox.references import reference_to
from cwconnect.sandbox.served_lists import ATTACHED
from cwconnect.sandbox.table import Table
from cwconnect.sandbox.timestamps import to_text
from cwconnect.sandbox.values import id_of

_CONTACTS = "/company/contacts"
_TRANSFER = "transfercontactid"


def call_type(table: Table) -> type[Call]:
    """Return what answers the requests for a list."""
    if table.spec.path == _CONTACTS:
        return ContactCall
    if table.spec.path == custom_fields.LIST:
        return DefinitionCall
    return AttachmentCall if table.spec.entity == ATTACHED else Call


class ContactCall(Call):
    """A request for contacts."""

    def replaced(self, record: Record, given: Record) -> Record:
        """Return what a PUT makes; with `communicationItems` it fails, as it does on real sites."""
        if any(name.lower() == "communicationitems" for name in given):
            words = "The communicationItems field is invalid."
            raise errors.invalid_object(self.spec.resource, words, field="communicationItems")
        return super().replaced(record, given)

    def removed(self, record: Record) -> None:
        """Remove a contact; with `transferContactId`, what refers to it refers to that one from now on. 404, 400."""
        texts = [text for name, text in self.request.query if name.lower() == _TRANSFER]
        if texts:
            number = id_of(texts[-1])
            row = self.table.row(number) if number is not None else None
            if row is None or row.id in self.table.hidden:
                raise errors.refusal(404, "NotFound", f"{self.spec.entity} {texts[-1][:20]} not found")
            if row.id == record["id"]:
                words = "A contact can't be transferred to itself."
                raise errors.invalid_object(self.spec.resource, words, field="transferContactId")
            self._transfer(record["id"], reference_to(self.table, row))
        super().removed(record)

    def _transfer(self, number: int, to: Record) -> None:
        mark = b'"contact":{"id":%d,' % number
        stamps = {"lastUpdated": to_text(self.store.now()), "updatedBy": API_MEMBER}
        for table in (self.store.table(spec.name) for spec in CATALOGUE):
            for row in [row for row in table.rows if mark in row.body]:
                record: Record = loads(row.body)
                moved = record | {"contact": to, "_info": {**(record.get("_info") or {}), **stamps}}
                self.store.publish(table, row.id, lambda moved=moved: moved, by=API_MEMBER)  # type: ignore[misc]  # its default is the record


class DefinitionCall(Call):
    """A request for the definitions of custom fields, which all records of a pod have."""

    def _store(self, record: Record, status: int) -> errors.Response:
        before = self.table.row(record["id"])
        pods = {record.get("podId"), loads(before.body).get("podId") if before else None}
        stored = super()._store(record, status)
        for pod in pods:
            custom_fields.spread(self.store, pod)
        return stored

    def removed(self, record: Record) -> None:
        """Remove a definition, and its field from all records."""
        super().removed(record)
        custom_fields.spread(self.store, record.get("podId"))


class AttachmentCall(Call):
    """A request for what is attached to a parent: a POST names a record that is there by its id."""

    def new(self, given: Record) -> Record:
        """Return the reference that a POST attaches; 400 for one to nothing, or that is attached already."""
        configurations, number = self.store.table("configurations"), id_of(given.get("id"))
        row = configurations.row(number) if number is not None else None
        if row is None or row.id in configurations.hidden:
            words = f"{configurations.spec.entity} {str(given.get('id'))[:20]} not found"
            raise errors.invalid_object(self.spec.resource, words, field="id", code="NotFound")
        if self.table.row(row.id) is not None:
            words = "A matching configuration is attached already"
            raise errors.invalid_object(self.spec.resource, words, field="id", code="ObjectExists")
        made = reference_to(configurations, row)
        name = str(configurations.record(row).get("name", ""))
        return {"id": row.id, "deviceIdentifier": name, "_info": made["_info"]}
