"""A rotation leaves the former secrets their overlap, never more than they had, and never more than five in all."""

from datetime import UTC, datetime, timedelta

from shared.source_secrets import SECRETS_MAX, Secret, read, rotated, write

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def test_what_is_written_reads_the_same() -> None:
    secrets = (Secret("a b\né"), Secret("c", NOW))
    assert read(write(secrets)) == secrets
    assert read("as an earlier release stored it") == (Secret("as an earlier release stored it"),)


def test_the_new_one_stands_in_front_and_the_former_ends() -> None:
    assert rotated((Secret("a"),), "b", now=NOW, until=NOW + DAY) == (Secret("b"), Secret("a", NOW + DAY))
    assert rotated((Secret("a"),), "b", now=NOW, until=NOW) == (Secret("b"),)


def test_an_overlap_is_never_prolonged_by_another_rotation() -> None:
    once = rotated((Secret("a"),), "b", now=NOW, until=NOW + DAY)
    twice = rotated(once, "c", now=NOW, until=NOW + 7 * DAY)
    assert twice == (Secret("c"), Secret("b", NOW + 7 * DAY), Secret("a", NOW + DAY))
    later = rotated(twice, "d", now=NOW + 2 * DAY, until=NOW + 3 * DAY)
    assert later == (Secret("d"), Secret("c", NOW + 3 * DAY), Secret("b", NOW + 3 * DAY))


def test_the_same_secret_again_is_there_once_and_for_good() -> None:
    assert rotated((Secret("a"), Secret("b", NOW + DAY)), "b", now=NOW, until=NOW + DAY) == (
        Secret("b"),
        Secret("a", NOW + DAY),
    )


def test_there_are_never_more_than_so_many() -> None:
    secrets: tuple[Secret, ...] = (Secret("0"),)
    for number in range(1, 20):
        secrets = rotated(secrets, str(number), now=NOW, until=NOW + DAY)
    assert [secret.text for secret in secrets] == ["19", "18", "17", "16", "15"]
    assert len(secrets) == SECRETS_MAX
