"""What bodies share: names, times, and that an unknown field is refused."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl, TypeAdapter

from shared.rfc3339 import FORM, parse_instant

Name = Annotated[str, Field(min_length=1, max_length=200)]
_HTTP_URL = TypeAdapter(HttpUrl)


def _instant(value: Any) -> datetime:
    """What comes in is text; what the stores hold is a time already."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if not isinstance(value, str):
        raise ValueError(FORM)
    return parse_instant(value)


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]


def _http_url(url: str) -> str:
    _HTTP_URL.validate_python(url)
    return url


HttpUrlText = Annotated[str, Field(max_length=2_000), AfterValidator(_http_url)]


class Body(BaseModel):
    """What callers send: an unknown field is refused, because it is most often a misspelt one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
