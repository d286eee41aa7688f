"""Reading raw bodies: JSON and forms. What can't be read is a Refusal that says where, without quoting the body."""

from typing import Any
from urllib.parse import parse_qsl

from services.ingest.model import KEY_TWICE, DuplicateKeys, Fault, read_json
from services.ingest.vendors.vendor import Bad, Refusal, RefusalReason

FORM_FIELDS_MAX = 2_000


def json_of(body: bytes) -> Any | Refusal:
    """The value of a JSON body."""
    try:
        return read_json(text_of(body))
    except UnicodeDecodeError as error:
        return unreadable(f"not UTF-8 at byte {error.start}")
    except ValueError as error:
        line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
        return unreadable(f"malformed JSON at line {line}, column {column}" if line else "malformed JSON")


def text_of(body: bytes) -> str:
    """UTF-8, with or without a byte order mark. Raises UnicodeDecodeError. The codec `utf-8-sig` is Python."""
    return body.decode().removeprefix("\ufeff")


def object_of(body: bytes) -> dict[str, Any] | Refusal:
    """The object of a JSON body."""
    value = json_of(body)
    if isinstance(value, Refusal):
        return value
    if not isinstance(value, dict):
        return unreadable("must be a JSON object")
    return unreadable(KEY_TWICE) if isinstance(value, DuplicateKeys) else value


def form_of(body: bytes) -> dict[str, str] | Refusal:
    """The fields of a form; of a field that is given twice the first."""
    try:
        pairs = parse_qsl(
            body.decode("utf-8-sig"), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS_MAX
        )
    except ValueError:
        return unreadable(f"must be a form in UTF-8 of at most {FORM_FIELDS_MAX} fields")
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    return fields


def unreadable(message: str) -> Refusal:
    return Refusal(RefusalReason.UNREADABLE, f"The body can't be read: {message}.")


def bad(position: int, path: str, message: str, *, id: str | None = None) -> Bad:
    return Bad(position, id, (Fault(path, message),))


def text(value: Any) -> str | None:
    """The value if it is text with something in it."""
    return value.strip() if isinstance(value, str) and value.strip() else None


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
