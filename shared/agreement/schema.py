"""The JSON Schema of the document, for editors: completion, hints and the commonest slips while somebody types.

It is generated from the models, and looser than them: what holds between fields only `accord check` says.
"""

import json
from typing import Any, Final

from shared.agreement.document import Accord
from shared.agreement.value_schemas import CONDITION_MARK, DEFINITIONS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def document_schema() -> dict[str, Any]:
    """A whole schema, with its definitions."""
    schema: dict[str, Any] = _plain(Accord.model_json_schema(mode="validation"))
    definitions = {**schema.pop("$defs"), **DEFINITIONS}
    return {"$schema": DIALECT, **schema, "$defs": {name: definitions[name] for name in sorted(definitions)}}


def schema_text() -> str:
    """The schema as it is committed and printed."""
    return json.dumps(document_schema(), ensure_ascii=False, indent=2) + "\n"


def _plain(value: Any) -> Any:
    """Without what pydantic adds for programs: titles made of field names, and that nothing is the default."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _plain(item) for key, item in value.items() if not _is_noise(key, item)}
    if CONDITION_MARK.items() <= kept.items():
        kept = {"$ref": "#/$defs/Condition", **{key: item for key, item in kept.items() if key not in CONDITION_MARK}}
    if "patternProperties" in kept:
        # A name that doesn't have the form of one is refused, not merely unknown.
        kept["additionalProperties"] = False
    return kept


def _is_noise(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and not isinstance(value, (str, int, list)))
