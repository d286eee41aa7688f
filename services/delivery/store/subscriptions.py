"""Who is told: the subscriptions that api publishes, beside how their endpoints fare here."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from pydantic_core import from_json

from services.delivery.model.quiet import quiet_hours
from services.delivery.model.subscriptions import Format, State, Subscription
from shared.agreement.condition_parsing import InvalidCondition, parse_condition
from shared.agreement.conditions import compile_condition
from shared.secret_box import SecretBox, WrongSecretKey
from shared.webhook_secrets import SigningKey, read

log = structlog.get_logger()

Connection = Any  # asyncpg ships no types

# What was found about an endpoint counts until somebody enables its subscription again.
SUBSCRIPTIONS: Final = """
SELECT s.subscription_id, s.url, s.types, s.condition::text, s.secret, CASE
        WHEN s.state = 'disabled' OR e.disabled_at IS NOT NULL THEN 'disabled'
        WHEN s.state = 'paused' THEN 'paused'
        WHEN s.handshake AND e.agreed_url IS DISTINCT FROM s.url THEN 'unconfirmed' ELSE 'active' END,
    s.format, s.name, s.in_flight_max, least(s.rate_per_second, c.agreed_rate_per_second), s.timeout_seconds,
    s.group_seconds, s.quiet_hours::text, s.enabling, e.failing_since, s.handshake
FROM api.published_subscriptions s
LEFT JOIN delivery.endpoints e ON e.subscription_id = s.subscription_id AND e.enabling = s.enabling
LEFT JOIN delivery.endpoints c ON c.subscription_id = s.subscription_id AND c.agreed_url = s.url
ORDER BY s.subscription_id"""

NOTE_FARING: Final = """
INSERT INTO delivery.endpoints AS e (subscription_id, enabling, failing_since)
SELECT * FROM unnest($1::uuid[], $2::integer[], $3::timestamptz[])
ON CONFLICT (subscription_id) DO UPDATE SET enabling = EXCLUDED.enabling,
    failing_since = CASE WHEN e.enabling = EXCLUDED.enabling AND EXCLUDED.failing_since IS NOT NULL
        THEN coalesce(e.failing_since, EXCLUDED.failing_since) ELSE EXCLUDED.failing_since END,
    disabled_at = CASE WHEN e.enabling = EXCLUDED.enabling THEN e.disabled_at END,
    why = CASE WHEN e.enabling = EXCLUDED.enabling THEN e.why END
WHERE e.enabling <= EXCLUDED.enabling"""

DISABLE: Final = """
INSERT INTO delivery.endpoints AS e (subscription_id, enabling, disabled_at, why) VALUES ($1, $2, $3, $4)
ON CONFLICT (subscription_id) DO UPDATE SET enabling = $2, disabled_at = $3, why = $4
WHERE e.enabling < $2 OR (e.enabling = $2 AND e.disabled_at IS NULL) RETURNING failing_since"""

NOTICE: Final = """
INSERT INTO delivery.deliveries (lead_id, delivery_id, subscription_id, number, event_id, type, received_at,
    next_attempt_at, body)
SELECT $1, d.delivery_id, d.subscription_id, nextval(pg_get_serial_sequence('delivery.events', 'number')), $2, $3, $4,
    $4, $5::text::json
FROM unnest($6::uuid[], $7::uuid[]) AS d(delivery_id, subscription_id) ON CONFLICT (lead_id, delivery_id) DO NOTHING"""


class SubscriptionBook:
    """The subscriptions as the last read found them; conditions are compiled and secrets opened only when something
    changed. Without a `box` subscriptions have no keys: enough for who only asks whom to tell."""

    def __init__(self, box: SecretBox | None = None) -> None:
        self.all: tuple[Subscription, ...] = ()
        self._box = box
        self._rows: list[tuple[Any, ...]] = []

    async def refresh(self, connection: Connection) -> tuple[Subscription, ...]:
        rows = [tuple(row) for row in await connection.fetch(SUBSCRIPTIONS)]
        if rows != self._rows:
            self.all, self._rows = tuple(self._subscription(row) for row in rows), rows
        return self.all

    def _subscription(self, row: tuple[Any, ...]) -> Subscription:
        subscription_id, url, types, condition, secret, state, format, name, *rest = row
        in_flight_max, rate, timeout, group, quiet, enabling, failing, handshake = rest
        matches = None
        keys: tuple[SigningKey, ...] = ()
        hours = None
        try:
            matches = None if condition is None else compile_condition(parse_condition(from_json(condition)))
            hours = quiet_hours(None if quiet is None else from_json(quiet))
            keys = read(self._opened(secret))
        except (InvalidCondition, WrongSecretKey, ValueError, KeyError, OSError) as error:
            # api refuses such a subscription; one that got past it must not make every event poison.
            log.error("subscription_invalid", subscription_id=str(subscription_id), kind=type(error).__name__)
            state = State.PAUSED if isinstance(error, WrongSecretKey) else State.DISABLED
        return Subscription(
            subscription_id,
            url,
            tuple(types),
            matches,
            keys,
            State(state),
            Format(format),
            name,
            in_flight_max,
            rate,
            timeout,
            group,
            hours,
            enabling,
            failing,
            handshake,
        )

    def _opened(self, stored: str) -> str:
        """What an earlier release stored lies there as it is."""
        if stored.startswith("whsec_"):
            return stored
        return "" if self._box is None else self._box.open(stored)


async def note_faring(pool: Connection, rows: list[tuple[UUID, int, datetime | None]]) -> None:
    """(subscription, its enabling, since when its endpoint has failed), None for one that works again."""
    await pool.execute(NOTE_FARING, *zip(*rows, strict=True))


async def disable(connection: Connection, subscription: Subscription, *, why: str, now: datetime) -> bool:
    """Whether this call disabled it: another process may have, or somebody may have enabled it since."""
    row = await connection.fetchrow(DISABLE, subscription.subscription_id, subscription.enabling, now, why)
    return row is not None


async def add_notice(
    connection: Connection,
    body: str,
    deliveries: list[tuple[UUID, UUID]],
    *,
    about: UUID,
    event_id: UUID,
    type: str,
    now: datetime,
) -> None:
    """Deliveries (id, subscription) of an event that is not of the line."""
    await connection.execute(NOTICE, about, event_id, type, now, body, *zip(*deliveries, strict=True))
