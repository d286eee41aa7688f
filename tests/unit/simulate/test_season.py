"""The made-up season is what the demo promises: repeatable, believable, and honest about what is wrong in it."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

from services.demo.settings import ACCORD
from services.ingest.model import Refused
from services.ingest.vendors.cloudevents import read_cloud_event
from services.ingest.vendors.plain import Reading, Sender, read_event
from services.simulate import Season, react, season
from shared.agreement.loading import load_accord, warnings

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def test_the_same_seed_gives_the_same_season_and_another_seed_another_one() -> None:
    assert season(7, START) == season(7, START)
    assert season(7, START).posts != season(8, START).posts
    assert {e["id"] for p in season(7, START).posts for e in p.events}.isdisjoint(
        e["id"] for p in season(7, START, series=1).posts for e in p.events
    )


def test_a_season_is_big_enough_to_be_one() -> None:
    made = season(7, START)
    assert made.events == sum(len(post.events) for post in made.posts) >= 500
    assert made.people >= 120
    assert made.duplicates >= 10
    assert made.bad >= 5
    assert {post.form for post in made.posts} == {"plain", "cloudevent"}
    assert [post.at_seconds for post in made.posts] == sorted(post.at_seconds for post in made.posts)


def test_ingest_judges_every_event_as_the_season_says() -> None:
    made = season(7, START)
    accepted, refused = _judge(made)
    assert refused == made.bad
    assert sum(accepted.values()) == made.events - made.bad
    assert sum(count - 1 for count in accepted.values()) == made.duplicates


def test_there_are_all_kinds_of_people_and_paths() -> None:
    events = [event for post in season(7, START).posts if post.form == "plain" for event in post.events]
    types = {event["type"] for event in events if "type" in event}
    assert types >= {"page.viewed", "whitepaper.downloaded", "survey.completed", "tradeshow.scanned", "cta.completed"}
    assert types >= {"webinar.attended", "demo.requested", "email.unsubscribed"}
    domains = {event["lead"]["email"].partition("@")[2] for event in events if "email" in event["lead"]}
    assert "gmail.com" in domains
    assert len(domains) > 15
    assert len({event["campaign"] for event in events if "campaign" in event}) >= 4
    assert any("email" not in event["lead"] and "anonymous_id" in event["lead"] for event in events)
    assert min(event["occurred_at"] for event in events if event["occurred_at"] > "2026") < "2026-11-10"


def test_a_demo_request_comes_within_the_first_seconds() -> None:
    first = next(p for p in season(7, START).posts if any(e.get("type") == "demo.requested" for e in p.events))
    assert first.at_seconds < 5


def test_some_reps_are_in_time_and_some_are_not() -> None:
    contacts = []
    for number in range(200):
        reactions = react(7, f"lead{number}@okapi.example")
        assert [r.after_seconds for r in reactions] == sorted(r.after_seconds for r in reactions)
        contacts.append(next((r.after_seconds for r in reactions if r.action == "contacted"), None))
    met = sum(1 for at in contacts if at is not None and at < 5)
    assert met > 50
    assert len(contacts) - met > 50
    assert None in contacts


def test_the_same_lead_always_meets_the_same_fate() -> None:
    assert react(7, "x@okapi.example") == react(7, "x@okapi.example")


def test_the_accord_of_the_demo_is_valid_and_its_clocks_end_within_seconds() -> None:
    accord = load_accord(ACCORD.read_text(encoding="utf-8"))
    assert not warnings(accord)
    assert all(clock.hours == "always" and clock.within <= timedelta(seconds=15) for clock in accord.sla.clocks)


def _judge(made: Season) -> tuple[Counter[str], int]:
    sender = Sender(name="api", source=None, team=None, teams={})
    reading = Reading(sender=sender, received_at=START + timedelta(minutes=1), check_text=True, event_bytes_max=32_768)
    accepted: Counter[str] = Counter()
    refused = 0
    for post in made.posts:
        read = read_cloud_event if post.form == "cloudevent" else read_event
        for event in json.loads(json.dumps(post.events)):
            try:
                accepted[str(read(event, reading).id)] += 1
            except Refused:
                refused += 1
    return accepted, refused
