"""The columns that the api relies on: views `published_*` of the other services, and its own tables."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

_METADATA = MetaData()
_KINDS: dict[str, Any] = {
    "text": Text,
    "int": Integer,
    "long": BigInteger,
    "float": Float,
    "uuid": Uuid,
    "date": Date,
    "time": DateTime(timezone=True),
    "json": JSONB(none_as_null=True),
    "bool": Boolean,
    "bytes": LargeBinary,
    "texts": ARRAY(Text),
    "uuids": ARRAY(Uuid),
}


def _table(name: str, columns: str) -> Table:
    """`columns` reads like SQL: name and kind, with commas between."""
    schema, _, table = name.partition(".")
    pairs = (column.split() for column in columns.split(","))
    return Table(table, _METADATA, *(Column(column, _KINDS[kind]) for column, kind in pairs), schema=schema)


SCORED = _table(
    "scoring.published_leads",
    """lead_id uuid, email text, profile json, source text, campaign text, first_source text, first_team text,
    version int, accord int, as_of time, engagement float, fit int, grade text, rule_totals json,
    updated_at time""",
)
HISTORY = _table(
    "scoring.published_history",
    """lead_id uuid, number int, event_id uuid, kind text, type text, occurred_at time, received_at time,
    source text, campaign text, body json""",
)
GRANTS = _table(
    "scoring.published_grants",
    """lead_id uuid, event_id uuid, type text, rule text, points int, withheld int, why text, accord int,
    occurred_at time, received_at time""",
)
RESCORES = _table(
    "scoring.published_rescores",
    """version int, state text, leads int, done int, left int, changed int, newly_qualifying int, started_at time,
    finished_at time""",
)
STAGED = _table(
    "stages.published_leads",
    """lead_id uuid, stage text, entry int, entered_at time, owner text, team text, version int, engagement float,
    fit int, grade text, email text, updated_at time""",
)
TRANSITIONS = _table(
    "stages.published_transitions",
    """lead_id uuid, version int, event_id uuid, cause_id uuid, from_stage text, to_stage text, entry int,
    reason text, action text, implied bool, owner text, occurred_at time""",
)
STAGES_HISTORY = _table(
    "stages.published_history",
    """lead_id uuid, number int, event_id uuid, received_at time""",
)
ACTIONS = _table(
    "stages.published_actions",
    """lead_id uuid, event_id uuid, action text, occurred_at time, received_at time, reason text, channel text,
    actor text, ignored text, note text, source text, until time, amount float, currency text, owner text""",
)
STAYS = _table(
    "stages.published_stages",
    """lead_id uuid, version int, stage text, entered_at time, left_at time, seconds float, implied bool, reason text,
    action text, owner text""",
)
ASSIGNMENTS = _table(
    "stages.published_assignments",
    """lead_id uuid, event_id uuid, received_at time, owner text, team text, why text, turn int, candidates json,
    passed_over json""",
)
LOADS = _table("stages.published_loads", """owner text, day date, leads int""")
OPEN_LEADS = _table("stages.published_owners", """owner text, open_leads int""")
CLOCKS = _table(
    "sla.published_clocks",
    """clock_id uuid, lead_id uuid, rule text, attempt int, accord int, entry int, state text, owner text,
    team text, started_at time, deadline time, met_at time, breached_at time, announced_at time,
    resolved_at time, voided_at time, lateness_seconds float, closed_at time, is_lagging bool,
    response_seconds float, pauses json, paused_until time""",
)
CLOCK_EVENTS = _table(
    "sla.published_clock_events",
    """lead_id uuid, clock_id uuid, event_id uuid, type text, occurred_at time, rule text, owner text, level int,
    pause int""",
)
DELIVERIES = _table(
    "delivery.published_deliveries",
    """delivery_id uuid, subscription_id uuid, lead_id uuid, event_id uuid, type text, state text, attempts int,
    status int, latency_seconds float, next_attempt_at time, delivered_at time, created_at time, outcome text""",
)
ATTEMPTS = _table(
    "delivery.published_attempts",
    """delivery_id uuid, lead_id uuid, attempt int, started_at time, outcome text, status int, latency_seconds float,
    answer bytes""",
)
ENDPOINTS = _table(
    "delivery.published_endpoints",
    """subscription_id uuid, enabling int, failing_since time, disabled_at time, why text, agreed_url text,
    asked_at time, refusal text""",
)
DELIVERY_REQUESTS = _table(
    "api.delivery_requests",
    """request_id uuid, subscription_id uuid, kind text, since time, until time, event_ids uuids, created_at time""",
)
IDENTITIES = _table(
    "ingest.published_identities",
    """lead_id uuid, kind text, value text""",
)

LEAD_INDEX = _table(
    "api.lead_index",
    """lead_id uuid, engagement float, fit int, updated_at time, deadline time, stage text, grade text, owner text,
    source text, first_source text, refresh_at time""",
)
LEAD_WORDS = _table("api.lead_words", "lead_id uuid, words text")
ROLLED_UP = tuple(_table(f"api.report_{rows}", "lead_id uuid") for rows in ("leads", "entries", "touches"))
ERASURES = _table("api.erasures", "lead_id uuid, requested_at time, requested_by text, told_at time, done_at time")
ERASURE_WISHES = _table("ingest.published_erasure_wishes", "lead_id uuid, source_id uuid, source text, asked_at time")
# What remains of erased leads (migration 0040); the other tables of it are read as text.
NOBODY_CLOCKS = _table(
    "api.nobody_clocks",
    "nobody_id uuid, rule text, state text, owner text, team text, started_at time, response_seconds float",
)
# Each service's tombstones.
ERASED_BY_INGEST, *_ERASED = (
    _table(f"{schema}.published_erased", "lead_id uuid, erased_at time")
    for schema in ("ingest", "scoring", "stages", "sla", "delivery")
)
ERASED = (ERASED_BY_INGEST, *_ERASED)
DEAD_LETTERS = _table(
    "stream.published_dead_letters",
    """letter_id uuid, service text, topic text, partition int, log_offset long, event_id uuid, lead_id uuid,
    type text, value bytes, kind text, message text, received_at time, buried_at time, state text""",
)
RECEIPTS = _table(
    "ingest.published_receipts",
    """source_id uuid, receipt_id uuid, received_at time, standing text, kind text, type text, event_id uuid,
    reason text, items json, sent text, sent_bytes int, replayed_at time""",
)
SOURCE_KINDS = _table(
    "ingest.published_source_kinds",
    """source_id uuid, kind text, standing text, events long, last_at time, first_at time""",
)
AUDITS = _table(
    "stream.published_audits",
    """taken_at time, seconds float, is_clean bool, in_flight json, skipped json, counts json, checks json,
    first json""",
)

ACCORDS = _table(
    "api.accords",
    """version int, document json, source_text text, sha256 bytes, effective_at time, state text, created_at time,
    proposed_by text, proposed_key_id text, withdrawn_by text, withdrawn_at time""",
)
PUBLISHED_ACCORDS = _table("api.published_accords", "version int, effective_at time, state text")
SIGNATURES = _table(
    "api.signatures",
    """version int, side text, key_id text, signed_by text, signed_at time, sha256 bytes, effective_at time""",
)
KEYS = _table(
    "api.keys",
    """key_id text, secret_sha256 bytes, name text, role text, scopes texts, source_id uuid, expires_at time,
    revoked_at time, created_at time,
    owner text, former_secret_sha256 bytes, former_until time""",
)
KEY_USES = _table("api.key_uses", "key_id text, last_used_at time")
AUDIT_LOG = _table(
    "api.audit_log",
    """entry long, at time, actor text, actor_name text, role text, action text, subject text, subject_id text,
    before json, after json""",
)
SOURCES = _table(
    "api.sources",
    """source_id uuid, name text, kind text, team text, secret text, settings json, created_at time,
    changed_at time, deleted_at time""",
)
SUBSCRIPTIONS = _table(
    "api.subscriptions",
    """subscription_id uuid, name text, url text, types texts, condition json, format text, secret text,
    state text, created_at time, deleted_at time, in_flight_max int, rate_per_second float, timeout_seconds float,
    group_seconds int, quiet_hours json, handshake bool, public_key text, signatures texts, enabling int,
    updated_at time""",
)
OWNERS = _table(
    "api.owners",
    """owner text, is_paused bool, paused_until time, deleted_at time, updated_at time""",
)
RECEIPT_REPLAYS = _table(
    "api.receipt_replays",
    """receipt_id uuid, asked_at time""",
)
IDEMPOTENCY = _table(
    "api.idempotency",
    """key_id text, idempotency_key text, request_sha256 bytes, status int, body json, created_at time""",
)
