"""What bodies share: names, times, and that an unknown field is refused."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl, TypeAdapter

from shared.rfc3339 import FORM, parse_instant

Name = Annotated[str, Field(min_length=1, max_length=200)]
_HTTP_URL = TypeAdapter(HttpUrl)
_TIMES: Final = ("_at", "as_of", "since", "until", "deadline")
_TIME_OF_POSTGRES: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00")


def _instant(value: Any) -> datetime:
    """What comes in is text; what the stores hold is a time already."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if not isinstance(value, str):
        raise ValueError(FORM)
    return parse_instant(value)


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]


def _with_instants(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _as_shown(value) if name.endswith(_TIMES) else value for name, value in row.items()}


def _as_shown(value: Any) -> Any:
    if not isinstance(value, str) or _TIME_OF_POSTGRES.fullmatch(value) is None:
        return value
    return datetime.fromisoformat(value).isoformat().replace("+00:00", "Z")


# A row that Postgres made JSON of: its times end in +00:00 and lose the zeros of their fractions. It is shown with them
# as an Instant is, so that one answer has one form; what a sender wrote stands deeper in it and stays as it was.
JsonRow = Annotated[dict[str, Any], AfterValidator(_with_instants)]


def _http_url(url: str) -> str:
    _HTTP_URL.validate_python(url)
    return url


HttpUrlText = Annotated[str, Field(max_length=2_000), AfterValidator(_http_url)]


class Body(BaseModel):
    """What callers send: an unknown field is refused, because it is most often a misspelt one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
