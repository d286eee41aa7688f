"""What a running Accord says of its versions."""

from typing import Any, Final

from services.calling import Connection, call, every

_SIGNED: Final = ("scheduled", "effective", "superseded")


def versions(connection: Connection) -> list[dict[str, Any]]:
    """Every version without its document, the newest first."""
    return every(connection, "/v1/accords")


def newest_signed(connection: Connection) -> dict[str, Any]:
    """The newest version that both sides have signed, whole."""
    number = next(item["version"] for item in versions(connection) if item["state"] in _SIGNED)
    found: dict[str, Any] = call(connection, "GET", f"/v1/accords/{number}")
    return found
