"""The accord document as strict models: an unknown key or a value of another type is refused, nothing is coerced.

What must hold between fields (unique ids, known teams, open hours) is checked by checking.py when a document is loaded.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, ModelWrapValidatorHandler, PrivateAttr, model_serializer, model_validator

from shared.agreement.document_base import Part
from shared.agreement.document_calendar import Calendar
from shared.agreement.document_scoring import Scoring
from shared.agreement.document_sla import Sla
from shared.agreement.document_stages import Routing, Stages
from shared.agreement.values import Currency, Form, Name

__all__ = ["Accord", "Calendar", "Routing", "Scoring", "Sla", "Stages"]


class Accord(Part):
    """What marketing and sales have agreed."""

    # It is dumped as it was written, so that storing it and reading it again changes nothing.
    model_config = ConfigDict(title="Accord")

    accord: Form
    """The form of the document; 1 is the only one."""
    name: Name
    """Whose agreement this is."""
    currency: Currency | None = None
    """The currency of amounts that promises add up, such as USD."""
    calendar: Calendar
    """The hours that count for clocks of business hours."""
    scoring: Scoring
    """What earns points."""
    stages: Stages
    """What qualifies a lead, and where rejected ones go."""
    routing: Routing = Routing()
    """Who gets which lead; without it every lead goes to the queue `unassigned`."""
    sla: Sla = Sla()
    """What both sides promise each other."""

    _written: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_what_was_written(cls, document: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        accord = handler(document)
        if isinstance(document, Mapping):
            accord._written = dict(document)
        return accord

    @model_serializer(mode="plain")
    def as_written(self) -> dict[str, Any]:
        """The document's own plain values, valid as JSON."""
        return self._written
