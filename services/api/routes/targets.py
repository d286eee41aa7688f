"""What a subscription names, checked: its address, its condition, and what goes with its format."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import HttpUrl, TypeAdapter, ValidationError

from services.api.routes.parts import invalid
from services.api.schemas.subscriptions import READ_BY_PEOPLE
from shared.agreement.condition_parsing import InvalidCondition, parse_condition
from shared.http.problems import FieldError, Problem

RECIPIENTS_MAX = 20
_HTTP_URL = TypeAdapter(HttpUrl)


def check_url(url: str, format: str) -> None:
    """Raises Problem 422. Where it leads is seen when it is called: names may point elsewhere by then."""
    if format == "email":
        _check_recipients(url)
        return
    try:
        parsed = _HTTP_URL.validate_python(url)
    except ValidationError:
        raise invalid("url", "must be an address that begins with https:// or http://") from None
    if not urlsplit(url).netloc:  # browsers take http:///x for http://x; who delivers does not
        raise invalid("url", "must name a host after https:// or http://")
    if parsed.username or parsed.password:
        raise invalid("url", "must not carry a user or a password: everybody who may read subscriptions would see it")
    if parsed.fragment is not None:
        raise invalid("url", "must not have a fragment (#…)")


def check_format(format: str, *, quiet_hours: Any, group_seconds: int | None) -> None:
    """Raises Problem 422."""
    if format in READ_BY_PEOPLE:
        return
    for name, value in (("quiet_hours", quiet_hours), ("group_seconds", group_seconds or None)):
        if value is not None:
            raise invalid(name, f"goes with formats that people read: {', '.join(READ_BY_PEOPLE)}")


def check_condition(condition: Mapping[str, Any] | None) -> None:
    """Raises Problem 422 with everything that is wrong with it."""
    if condition is None:
        return
    try:
        parse_condition(condition)
    except InvalidCondition as error:
        errors = [
            FieldError(
                ".".join(("condition", *map(str, problem.at))), f"found {problem.found}, allowed: {problem.allowed}"
            )
            for problem in error.problems
        ]
        raise Problem(422, "Invalid input", errors=errors) from None


def _check_recipients(url: str) -> None:
    parts = urlsplit(url)
    found = [unquote(one).strip() for one in parts.path.split(",") if one.strip()]
    if parts.scheme != "mailto" or parts.query or not 1 <= len(found) <= RECIPIENTS_MAX:
        raise invalid("url", f"must be mailto: and then 1 to {RECIPIENTS_MAX} addresses, separated by commas")
    for address in found:
        local, at, domain = address.rpartition("@")
        has_odd = any(character.isspace() or character in '<>",;:\\' or ord(character) < 32 for character in address)
        if not (local and at and domain) or has_odd:
            raise invalid("url", "names something that is no mail address")
