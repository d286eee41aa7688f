"""Reads Salesforce's SOAP: no DTD, no entities, nothing fetched, and never the session id."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from services.ingest.vendors.bodies import unreadable
from services.ingest.vendors.vendor import Refusal

OUTBOUND: Final = "{http://soap.sforce.com/2005/09/outbound}"
TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
NOTIFICATIONS_MAX: Final = 100
LEVELS_MAX: Final = 16


class _TooDeep(Exception):
    """More levels than any outbound message has."""


class _Tree(TreeBuilder):
    """Builds the tree, so long as it is not too deep: half a million levels would fit into a body."""

    def __init__(self) -> None:
        super().__init__()
        self._level = 0

    def start(self, tag: Any, attrs: Any) -> Element:
        self._level += 1
        if self._level > LEVELS_MAX:
            raise _TooDeep
        return super().start(tag, attrs)

    def end(self, tag: Any) -> Element:
        self._level -= 1
        return super().end(tag)


class Record(NamedTuple):
    """One notification: its id, the kind of its record (`Lead`), and the record's fields by their plain names."""

    id: str | None
    kind: str | None
    fields: dict[str, str]


class Message(NamedTuple):
    organization: str
    records: Sequence[Record]


def notifications(body: bytes) -> Message | Refusal:
    """What an outbound message holds."""
    try:
        envelope = _parse(body)
    except DefusedXmlException:
        return unreadable("a document type or entities are not allowed")
    except ParseError as error:
        line, column = error.position
        return unreadable(f"malformed XML at line {line}, column {column}")
    except _TooDeep:
        return unreadable(f"nested deeper than {LEVELS_MAX} levels")
    except (ValueError, LookupError):
        return unreadable("an encoding that is not supported; send UTF-8")
    found = next(envelope.iter(f"{OUTBOUND}notifications"), None)
    if found is None:
        return unreadable("must be a SOAP envelope with notifications of an outbound message")
    records = found.findall(f"{OUTBOUND}Notification")
    if not records or len(records) > NOTIFICATIONS_MAX:
        return unreadable(f"must hold 1 to {NOTIFICATIONS_MAX} notifications")
    return Message((found.findtext(f"{OUTBOUND}OrganizationId") or "").strip(), [_record(item) for item in records])


def _parse(body: bytes) -> Element:
    parser = DefusedXMLParser(target=_Tree(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    parser.feed(body)
    root: Element = parser.close()
    return root


def _record(notification: Element) -> Record:
    record = notification.find(f"{OUTBOUND}sObject")
    id_ = (notification.findtext(f"{OUTBOUND}Id") or "").strip() or None
    if record is None:
        return Record(id_, None, {})
    fields = {
        field.tag.rpartition("}")[2]: field.text.strip()
        for field in record
        if field.text and field.text.strip() and field.get(NIL) != "true"
    }
    return Record(id_, record.get(TYPE, "").rpartition(":")[2] or None, fields)
