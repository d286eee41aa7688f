"""Messages for people: who, what, since when, what is due, a link; in the form of each channel, whatever leads call
themselves."""

import json
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from builders import NOON, lead_in
from channel_shapes import TEAMS_BYTES_MAX, check_alerts, check_slack, check_teams
from hypothesis import given, settings
from hypothesis import strategies as st

from services.delivery.model.channels import alerts, mail, slack, teams
from services.delivery.model.channels.words import Told, told
from services.delivery.model.quiet import QuietHours, quiet_hours
from shared.events.codec import EVENT_TYPES

URL = "https://accord.example"
LEAD = {"email": "ann@acme.example", "profile": {"name": "Ann Example", "title": "CTO", "company": "Acme"}}
TYPES = (*EVENT_TYPES, "accord.subscription.disabled", "x")
TEXT = st.text(max_size=300) | st.none()


def clock(kind: str, *, at: datetime = NOON, clock_id: int = 1, **data: Any) -> dict[str, Any]:
    about = {
        "clock_id": str(lead_in(0, clock_id)),
        "lead_id": str(lead_in(1)),
        "rule": "first-contact",
        "owner": "ada@sales.example",
        "team": "enterprise",
        "started_at": (NOON - timedelta(hours=2)).isoformat(),
        "deadline": (NOON - timedelta(hours=1)).isoformat(),
        "elapsed_seconds": 3_600.0,
        "lead": LEAD,
        **data,
    }
    return {"type": f"accord.clock.{kind}", "time": at.isoformat(), "data": about}


QUALIFIED = {
    "type": "accord.lead.qualified",
    "time": NOON.isoformat(),
    "data": {
        "lead_id": str(lead_in(1)),
        "grade": "A",
        "engagement": 72.4,
        "owner": "ada@sales.example",
        "reasons": [{"words": "demo requested", "points": 60.0}, {"words": "pricing page", "points": 5.0}],
        "due": {"rule": "first-contact", "deadline": (NOON + timedelta(hours=1)).isoformat()},
        "lead": LEAD,
    },
}


def test_a_breach_says_who_what_since_when_what_was_due_and_where_to_look() -> None:
    line = told(clock("breached"), URL)
    assert line == Told(
        "Broken promise: first-contact, Ann Example (CTO, Acme)",
        "broken",
        (
            ("Owner", "ada@sales.example"),
            ("Team", "enterprise"),
            ("Since", "Mon 2 Mar 2026, 10:00 UTC"),
            ("Due", "Mon 2 Mar 2026, 11:00 UTC"),
            ("Taken", "1 h 0 min"),
        ),
        f"{URL}/leads/{lead_in(1)}",
        True,
    )


def promise(kind: str, *, at: datetime = NOON, **data: Any) -> dict[str, Any]:
    about = {
        "promise": "leads-per-week",
        "of": "marketing",
        "period": "2026-W10",
        "since": "2026-03-02T00:00:00Z",
        "target": 120,
        "reached": 37,
        "pace": 62.5,
        "state": "running",
    }
    return {"type": f"accord.promise.{kind}", "id": kind, "time": at.isoformat(), "data": {**about, **data}}


def test_a_promise_on_many_leads_says_whose_it_is_and_how_it_stands() -> None:
    warned, base = told(promise("warned"), URL), (("Promised by", "marketing"), ("Period", "2026-W10"))
    assert (warned.headline, warned.kind) == ("Promise at risk: leads-per-week", "promise warned")
    assert warned.facts == (*base, ("Target", "120"), ("Reached", "37"), ("Due by now", "62.5"))
    share: dict[str, Any] = {
        "target": 0.4,
        "reached": 1 / 3,
        "denominator": 12_000.0,
        "state": "kept",
        "former_state": "breached",
    }
    corrected = told(promise("corrected", **share), URL)
    assert corrected.facts == (*base, ("Target", "40%"), ("Reached", "33.33%"), ("Now", "kept"), ("Before", "breached"))
    assert told(promise("breached", **share | {"reached": None}), URL).facts == (*base, ("Target", "40%"))


def test_a_qualified_lead_says_why_and_by_when() -> None:
    line = told(QUALIFIED, URL)
    assert line.headline == "Qualified: Ann Example (CTO, Acme)"
    assert ("Because", "demo requested, pricing page") in line.facts
    assert ("Due", "first-contact by Mon 2 Mar 2026, 13:00 UTC") in line.facts


@settings(max_examples=60)
@given(
    types=st.lists(
        st.sampled_from([*EVENT_TYPES, "accord.subscription.disabled", "x"]),
        min_size=1,
        max_size=30,
    ),
    name=TEXT,
    company=TEXT,
    owner=TEXT,
    deadline=TEXT,
)
def test_whatever_leads_call_themselves_every_channel_gets_what_it_takes(
    types: list[str], name: str | None, company: str | None, owner: str | None, deadline: str | None
) -> None:
    data = {"lead": {"profile": {"name": name, "company": company}}, "owner": owner, "deadline": deadline, "rule": name}
    lines = [told({"type": type_, "data": {"lead_id": "1", **data}}, URL) for type_ in types]
    check_slack(slack.message(lines))
    check_teams(teams.message(lines))
    made = mail.mail(lines, company or "")
    assert made.subject == made.subject.strip()
    assert "\n" not in made.subject
    assert len(made.subject) <= 160


def test_a_name_can_neither_link_nor_mention_in_slack_and_teams() -> None:
    name = "<!channel> <https://evil.example|click> [click](https://evil.example) *x*"
    line = told(clock("breached", lead={"profile": {"name": name}}), URL)
    text = slack.message([line])["blocks"][0]["text"]["text"]
    assert "<!channel>" not in text
    assert "&lt;!channel&gt;" in text
    card = json.dumps(teams.message([line]))
    assert "](https://evil" not in card.replace("\\\\]\\\\(", "")


def test_a_hundred_events_are_one_message_with_the_urgent_ones_first() -> None:
    lines = [told(QUALIFIED, URL)] * 97 + [told(clock("breached"), URL)] * 3
    message = slack.message(lines)
    check_slack(message)
    assert message["text"] == "97 qualified, 3 broken"
    assert [":red_circle:" in b["text"]["text"] for b in message["blocks"][1:5]] == [True, True, True, False]
    assert message["blocks"][-1]["elements"][0]["text"] == "and 80 more"
    card = teams.message(lines)
    check_teams(card)
    assert len(json.dumps(card)) < TEAMS_BYTES_MAX
    made = mail.mail(lines, "Sales")
    assert (made.subject, made.text.count("Broken promise")) == ("97 qualified, 3 broken", 3)
    assert made.text.endswith("subscription “Sales” of Accord.\n")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("mailto:ann@example.com", ("ann@example.com",)),
        ("mailto:ann@example.com,%20bob+x@example.com", ("ann@example.com", "bob+x@example.com")),
    ],
)
def test_recipients_stand_in_the_address(url: str, found: tuple[str, ...]) -> None:
    assert mail.recipients(url) == found


@pytest.mark.parametrize(
    "url",
    ["https://x.example", "mailto:", "mailto:ann", "mailto:a@b?bcc=c@d", "mailto:a@b%0d%0aBcc:c@d", "mailto:a@b;c@d"],
)
def test_what_is_no_recipient_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be|has"):
        mail.recipients(url)


def test_an_alert_begins_with_its_breach_and_ends_under_the_same_labels() -> None:
    (begun,) = alerts.alerts([clock("breached")], [], URL)
    check_alerts([begun])
    assert begun["labels"] == {
        "alertname": "AccordClockBreached",
        "severity": "warning",
        "rule": "first-contact",
        "owner": "ada@sales.example",
        "team": "enterprise",
        "clock_id": str(lead_in(0, 1)),
        "lead_id": str(lead_in(1)),
    }
    assert datetime.fromisoformat(begun["endsAt"]) > NOON + timedelta(days=29)
    for kind in ("met", "resolved", "voided"):
        end = clock(kind, at=NOON + timedelta(hours=3), owner="another@sales.example", team=None)
        (ended,) = alerts.alerts([end], [clock("breached")], URL)
        check_alerts([ended])
        assert (ended["labels"], ended["startsAt"]) == (begun["labels"], begun["startsAt"])
        assert ended["endsAt"] == (NOON + timedelta(hours=3)).isoformat()


def test_the_last_word_on_an_alert_counts_and_what_never_began_does_not_end() -> None:
    both = [clock("breached"), clock("resolved", at=NOON + timedelta(hours=1)), clock("breached", clock_id=2)]
    made = alerts.alerts(both, [], URL)
    assert [datetime.fromisoformat(alert["endsAt"]) < NOON + timedelta(days=1) for alert in made] == [True, False]
    assert alerts.alerts([clock("met", clock_id=3)], [clock("breached")], URL) == []


def test_an_alert_about_a_promise_on_many_leads_ends_when_it_is_kept_again() -> None:
    broken, later = promise("breached", state="breached"), NOON + timedelta(days=7)
    (begun,) = alerts.alerts([broken], [], URL)
    check_alerts([begun])
    assert begun["labels"] == {
        "alertname": "AccordPromiseBreached",
        "severity": "warning",
        "promise": "leads-per-week",
        "of": "marketing",
    }
    (ended,) = alerts.alerts([promise("kept", at=later, state="kept", period="2026-W11")], [broken], URL)
    assert (ended["labels"], ended["endsAt"]) == (begun["labels"], later.isoformat())
    assert alerts.alerts([promise("warned")], [], URL) == []


def test_a_correction_ends_an_alert_or_begins_one() -> None:
    broken, kept = (promise("corrected", state=state) for state in ("breached", "kept"))
    (begun,) = alerts.alerts([broken], [kept], URL)
    assert datetime.fromisoformat(begun["endsAt"]) > NOON + timedelta(days=29)
    (ended,) = alerts.alerts([kept], [broken], URL)
    assert (ended["labels"], ended["endsAt"]) == (begun["labels"], NOON.isoformat())
    assert alerts.alerts([kept], [kept], URL) == []


def test_a_correction_of_an_earlier_period_neither_ends_an_alert_nor_begins_one_again() -> None:
    before = "2026-02-23T00:00:00Z"
    broken = promise("breached", state="breached")
    assert (
        alerts.alerts([promise("corrected", since=before, state="kept", former_state="breached")], [broken], URL) == []
    )
    assert alerts.alerts([promise("kept", state="kept", since=before)], [broken], URL) == []
    (ended,) = alerts.alerts([promise("corrected", state="kept", former_state="breached")], [broken], URL)
    assert ended["endsAt"] == NOON.isoformat()
    assert alerts.alerts([promise("corrected", state="breached", former_state="breached")], [broken], URL) == []


@pytest.mark.parametrize("url", ["http://am:9093", "http://am:9093/", "http://am:9093/api/v2/alerts"])
def test_an_alertmanager_is_named_with_or_without_its_path(url: str) -> None:
    assert alerts.address(url) == "http://am:9093/api/v2/alerts"


@settings(max_examples=200)
@given(
    zone=st.sampled_from(["UTC", "Europe/Paris", "America/St_Johns", "Australia/Lord_Howe"]),
    begins=st.integers(0, 47),
    ends=st.integers(0, 47),
    minutes=st.integers(0, 366 * 24 * 60),
)
def test_quiet_hours_end_at_the_first_minute_that_is_not_quiet(zone: str, begins: int, ends: int, minutes: int) -> None:
    if begins == ends:
        return
    hours = QuietHours(ZoneInfo(zone), time(begins // 2, begins % 2 * 30), time(ends // 2, ends % 2 * 30))
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)

    def is_quiet(at: datetime) -> bool:
        reading = at.astimezone(hours.zone).time()
        within = hours.begins <= reading < hours.ends
        return within if hours.begins < hours.ends else not hours.ends <= reading < hours.begins

    until = hours.until(now)
    assert (until is not None) is is_quiet(now)
    if until is not None:
        assert now < until <= now + timedelta(hours=26)


def test_quiet_hours_are_read_as_they_are_stored() -> None:
    assert quiet_hours(None) is None
    found = quiet_hours({"timezone": "Europe/Paris", "from": "20:00", "to": "07:30"})
    assert found is not None
    assert found.until(datetime(2026, 7, 1, 20, 0, tzinfo=UTC)) == datetime(2026, 7, 2, 5, 30, tzinfo=UTC)
    assert found.until(datetime(2026, 7, 2, 5, 30, tzinfo=UTC)) is None
