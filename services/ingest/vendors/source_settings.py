"""The settings that every kind of source has, and how they are checked. Strict: a wrong key is named with its path."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from services.ingest.model import PATH_CHARACTERS_MAX, Fault
from services.ingest.schemas import EventType, FieldName, Name
from shared.events.sales import Action
from shared.http.problems import field_errors

ENTRIES_MAX = 500
RESERVED_IDENTIFIERS = ("email", "anonymous_id")
ACTIONS = tuple(action.value for action in Action)


def _known_type(value: str) -> str:
    if value.startswith("sales.") and value.removeprefix("sales.") not in ACTIONS:
        raise ValueError(f"unknown sales action; allowed: {', '.join('sales.' + action for action in ACTIONS)}")
    return value


def _known_action(value: str) -> str:
    if value not in ACTIONS:
        raise ValueError(f"unknown sales action; allowed: {', '.join(ACTIONS)}")
    return value


def _free_name(value: str) -> str:
    if value in RESERVED_IDENTIFIERS:
        raise ValueError(f"must not be {' or '.join(RESERVED_IDENTIFIERS)}, which are identifiers of their own")
    return value


MappedType = Annotated[EventType, AfterValidator(_known_type)]
ActionName = Annotated[str, AfterValidator(_known_action)]
IdentifierName = Annotated[FieldName, AfterValidator(_free_name)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class InvalidSettings(Exception):
    """The settings of a source can't be used."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in faults))
        self.faults = faults


class SourceOptions(BaseModel):
    """What a source may say about itself, whatever its kind."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    events: dict[Text, MappedType | None] = Field(
        {}, max_length=ENTRIES_MAX, description="The sender's own event names as Accord's types; null: ignore them"
    )
    profile: dict[Text, FieldName | None] = Field(
        {}, max_length=ENTRIES_MAX, description="The sender's own fields as profile fields; null: leave them out"
    )
    ids: dict[Text, IdentifierName] = Field(
        {}, max_length=ENTRIES_MAX, description="Other names for the sender's identifiers (two accounts of one vendor)"
    )
    campaign: Name | None = Field(None, description="The campaign of events that name none")
    campaigns: dict[Text, Name] = Field(
        {}, max_length=ENTRIES_MAX, description="The sender's own campaigns as Accord's"
    )
    historical: bool = Field(False, description="What it sends happened long ago: no clock is started late for it")


class CrmOptions(SourceOptions):
    """Of a source whose records move through stages of their own."""

    stages: dict[Text, ActionName | None] = Field(
        {}, max_length=ENTRIES_MAX, description="The CRM's own stages as sales actions; null: ignore them"
    )


class ErasingOptions(SourceOptions):
    """Of a source whose vendor asks to forget people, and proves that by a secret which only the vendor has."""

    erases: bool = Field(
        False,
        description="Who the vendor asks to forget is erased; who sets this needs the scope leads:erase. Without it "
        "such requests are listed for somebody to decide",
    )


def check(model: type[SourceOptions], raw: Mapping[str, Any]) -> SourceOptions:
    """The settings, fit to be used. Raises InvalidSettings with every fault."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InvalidSettings(
            *(Fault(path[:PATH_CHARACTERS_MAX], message) for path, message in field_errors(error))
        ) from None
