"""A lead's life in words."""

from datetime import UTC, datetime
from typing import Any

from services.api.pages.lead_life import FACTS_MAX, VALUE_CHARACTERS_MAX, known_by, stays, told, without_repeats

ACTION: dict[str, Any] = dict.fromkeys(
    ("actor", "reason", "channel", "amount", "currency", "owner", "note", "until", "ignored", "routing")
)


def item(kind: str, **detail: Any) -> dict[str, Any]:
    return {"kind": kind, "id": "1", "at": "2026-11-27T15:00:00Z", "detail": detail}


def test_an_activity_says_what_was_done_and_where_it_came_from() -> None:
    one = told(item("activity", type="whitepaper.downloaded", data={"title": "Guide"}, source="website", campaign=None))
    assert one.title == "Whitepaper downloaded"
    assert one.facts == (("title", "Guide"), ("source", "website"))


def test_a_score_says_what_each_rule_gave_and_what_was_withheld() -> None:
    grants = [
        {"rule": "cta", "points": 8, "withheld": 0, "why": None},
        {"rule": "after", "points": 0, "withheld": 20, "why": "nothing it follows from"},
    ]
    one = told(item("score", type="cta.completed", accord=1, grants=grants))
    assert one.title == "+8 points for cta completed"
    assert one.facts[1] == ("after", "0, 20 withheld: nothing it follows from")
    assert told(item("score", type="page.viewed", accord=1, grants=grants[:1])).title == "+8 points for page viewed"


def test_an_action_says_who_did_it_and_why_it_changed_nothing() -> None:
    one = told(item("action", **{**ACTION, "action": "accepted", "actor": "Ada", "ignored": "backwards"}))
    assert one.title == "Accepted by Ada"
    assert one.facts == (("changed nothing", "the lead is as far along already, or further"),)
    assert one.tone == "soon"
    won = told(item("action", **{**ACTION, "action": "won", "amount": 12000.5, "currency": "USD"}))
    assert won.facts == (("amount", "12,000.50 USD"),)


def test_a_transition_says_who_got_the_lead_and_who_was_passed_over() -> None:
    routing = {
        "owner": "ada",
        "team": "east",
        "why": "rule",
        "turn": 3,
        "passed_over": [{"owner": "bob", "why": "paused"}],
    }
    one = told(
        item("transition", from_stage="lead", to_stage="mql", reason="score qualifies", implied=False, routing=routing)
    )
    assert one.title == "Lead → MQL"
    assert one.facts == (
        ("why", "score qualifies"),
        ("owner", "ada, by the routing rules, team east"),
        ("passed over", "bob (paused)"),
    )


def test_clocks_and_deliveries_say_how_they_went() -> None:
    clock = told(item("clock", type="accord.clock.breached", rule="first-contact", owner=None, level=None))
    assert (clock.title, clock.tone, clock.facts) == ("Promise broken", "bad", [("promise", "first-contact")])
    delivery = told(item("delivery", type="accord.lead.qualified", state="delivered", attempts=2, status=200))
    assert delivery.facts[1] == ("state", "delivered, 2 tries, answered 200")


def test_a_kind_that_nobody_has_heard_of_is_told_by_its_name() -> None:
    assert told(item("moon_phase")).title == "Moon phase"


def test_long_values_and_many_fields_are_told_in_part() -> None:
    one = told(item("profile", fields={f"f{n}": "x" * 5_000 for n in range(90)}, source=None, campaign=None))
    assert len(one.facts) == FACTS_MAX + 1
    assert one.facts[-1] == ("and", f"{90 - FACTS_MAX} more")
    assert len(one.facts[0][1]) == VALUE_CHARACTERS_MAX


def test_a_profile_tells_only_what_it_changed() -> None:
    older = item("profile", fields={"title": "CTO", "company": "Acme"}, source="a", campaign=None)
    same = item("profile", fields={"title": "CTO"}, source="a", campaign=None)
    newer = item("profile", fields={"title": "CEO", "company": "Acme"}, source="a", campaign=None)
    bare = item("profile", fields={}, source="a", campaign=None)
    shown = without_repeats([newer, same, bare, older])
    assert [one["detail"]["fields"] for one in shown] == [{"title": "CEO"}, {}, {"title": "CTO", "company": "Acme"}]


def test_what_arrived_later_was_not_known() -> None:
    then = datetime(2026, 11, 27, 16, tzinfo=UTC)
    early = item("activity", received_at="2026-11-27T15:30:00Z")
    late = item("activity", received_at="2026-11-27T16:30:00Z")
    assert known_by([late, early, item("clock")], then) == [early, item("clock")]


def test_the_path_of_stages_has_the_time_spent_in_each() -> None:
    def move(from_: str, to: str, seconds: float, **more: Any) -> dict[str, Any]:
        detail = {"from_stage": from_, "to_stage": to, "seconds": seconds, "implied": False, "reason": "sales action"}
        return item("transition", **{**detail, "occurred_at": "2026-11-27T15:00:00Z", **more})

    path = stays([move("lead", "mql", 60.0, reason="score qualifies"), move("mql", "sal", 5.0, implied=True)])
    assert [(stay.stage, stay.seconds, stay.is_implied, stay.reason) for stay in path] == [
        ("lead", 60.0, False, ""),
        ("mql", 5.0, False, "Score qualifies"),
        ("sal", None, True, ""),
    ]
    assert stays([]) == []
