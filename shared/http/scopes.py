"""What callers may be allowed, and which of it a role brings along where nobody lists scopes: in an issuer's token."""

from typing import Final

ADMIN: Final = "admin"
ROLES: Final = ("marketing", "sales", "operations", ADMIN)

SCOPES: Final = (
    "accord:propose",
    "accord:sign",
    "accords:read",
    "audit:read",
    "clocks:read",
    "events:write",
    "keys:read",
    "keys:write",
    "leads:act",
    "leads:erase",
    "leads:read",
    "operations:read",
    "operations:write",
    "owners:read",
    "owners:write",
    "reports:read",
    "sources:inspect",
    "sources:read",
    "sources:write",
    "stream:read",
    "subscriptions:read",
    "subscriptions:write",
)

_READING: Final = frozenset({"accords:read", "clocks:read", "leads:read", "owners:read", "reports:read", "stream:read"})
_AGREEING: Final = frozenset({"accord:propose", "accord:sign"})
# Role admin has every scope, without a list.
ROLE_SCOPES: Final[dict[str, frozenset[str]]] = {
    "marketing": _READING | _AGREEING | {"sources:read", "events:write"},
    "sales": _READING | _AGREEING | {"leads:act"},
    "operations": frozenset(SCOPES) - _AGREEING - {"keys:write", "leads:act", "leads:erase"},
    ADMIN: frozenset(SCOPES),
}
