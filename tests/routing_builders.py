"""Teams of an accord, and leads that qualify under it one after the other."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from agreement_builders import MINIMAL
from line_builders import START, lead

from services.stages.model import (
    Decision,
    Routing,
    Score,
    State,
    apply,
)
from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import load_accord
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import (
    LeadAssigned,
)

EMPTY = Routing()


def accord_with(routing: Mapping[str, Any]) -> CompiledAccord:
    document = load_accord(MINIMAL).as_written() | {"routing": routing}
    return compile_accord(load_accord(json.dumps(document)), 1)


def team(*owners: str, **more: Any) -> CompiledAccord:
    """One team; an owner is `name`, `name*weight` or `name:capacity`."""
    members = []
    for text in owners:
        name, weight, capacity = re.fullmatch(r"(\w+)(?:\*(\d+))?(?::(\d+))?", text).groups()  # type: ignore[union-attr]
        limits = {"weight": int(weight or 1)} | ({"capacity": f"{capacity}/d"} if capacity else {})
        members.append({"owner": name, **limits})
    return accord_with({"teams": {"sales": members}, "rules": [{"team": "sales"}], **more})


def qualify(
    accord: CompiledAccord,
    routing: Routing,
    n: object,
    *,
    at: datetime = START,
    state: State | None = None,
    company: str | None = None,
) -> Decision:
    known = LeadSnapshot(f"{n}@{company or f'company{n}.example'}")
    score = Score(engagement=60, fit=0, grade="D", activity="demo.requested", lead=known)
    return apply(state or State(lead(n)), score, received_at=at, accord=accord, routing=routing)


def assigned(decision: Decision) -> LeadAssigned:
    return next(payload for payload in decision.payloads if isinstance(payload, LeadAssigned))


def qualify_all(
    accord: CompiledAccord, count: int, routing: Routing = EMPTY, *, at: datetime = START
) -> tuple[list[str | None], Routing]:
    owners = []
    for n in range(count):
        decision = qualify(accord, routing, f"{at}/{n}", at=at)
        routing = decision.routing
        owners.append(decision.state.owner)
    return owners, routing
