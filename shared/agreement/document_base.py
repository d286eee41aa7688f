"""The base of every part of the document."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Strict, closed, immutable. The line below a field is its description in the JSON Schema."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True
    )
