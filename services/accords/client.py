"""What a running Accord says of its versions."""

from typing import Any, Final

from services.calling import Connection, call

_PAGE: Final = 500
_SIGNED: Final = ("scheduled", "effective", "superseded")


def versions(connection: Connection) -> list[dict[str, Any]]:
    """Every version without its document, the newest first."""
    items: list[dict[str, Any]] = []
    query = {"limit": str(_PAGE)}
    while True:
        page = call(connection, "GET", "/v1/accords", query=query)
        items += page["items"]
        if not page["next"]:
            return items
        query["cursor"] = page["next"]


def newest_signed(connection: Connection) -> dict[str, Any]:
    """The newest version that both sides have signed, whole."""
    number = next(item["version"] for item in versions(connection) if item["state"] in _SIGNED)
    found: dict[str, Any] = call(connection, "GET", f"/v1/accords/{number}")
    return found
