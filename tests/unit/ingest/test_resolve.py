"""Who an event is about."""

from datetime import UTC, datetime
from uuid import UUID

from services.ingest.model import Identifier, Known, Posted, Resolution, resolve

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ADA, BOB, NEW, NEWER = (UUID(int=number) for number in (1, 2, 3, 4))
EMAIL = ("email", "ada@example.com")
COOKIE = ("anonymous_id", "c1")
CRM = ("crm", "77")


def posted(*identifiers: Identifier) -> Posted:
    return Posted(UUID(int=9), "activity", "page.viewed", NOW, NOW, identifiers, {}, {}, "web", "marketing", None)


def resolved(events: list[Posted], known: dict[Identifier, Known]) -> Resolution:
    return resolve(events, known, iter([NEW, NEWER]))


def test_a_known_email_decides() -> None:
    found = resolved([posted(EMAIL, COOKIE)], {EMAIL: Known(ADA, True), COOKIE: Known(BOB, False)})
    assert found.leads == [ADA]
    assert found.identities == {COOKIE: ADA}


def test_an_unknown_person_is_a_new_lead_for_the_whole_batch() -> None:
    found = resolved([posted(EMAIL), posted(EMAIL, COOKIE), posted(COOKIE)], {})
    assert found.leads == [NEW, NEW, NEW]
    assert found.fresh == {NEW}
    assert found.identities == {EMAIL: NEW, COOKIE: NEW}


def test_a_known_lead_without_an_email_takes_the_email_it_is_posted_with() -> None:
    found = resolved([posted(EMAIL, COOKIE)], {COOKIE: Known(BOB, False)})
    assert found.leads == [BOB]
    assert found.identities == {EMAIL: BOB}
    assert found.tied == {BOB}


def test_a_shared_device_does_not_give_its_first_owner_a_second_email() -> None:
    found = resolved([posted(EMAIL, COOKIE)], {COOKIE: Known(BOB, True)})
    assert found.leads == [NEW]
    assert found.identities == {EMAIL: NEW, COOKIE: NEW}


def test_without_an_email_the_first_known_identifier_decides_and_takes_the_others_along() -> None:
    found = resolved([posted(COOKIE, CRM)], {CRM: Known(ADA, True)})
    assert found.leads == [ADA]
    assert found.identities == {COOKIE: ADA}
