"""Compressed bodies never become larger than their bound, and room is given back."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from services.ingest.metrics import Metrics
from services.ingest.routes.receiving import Room, declared_size, inflated
from shared.errors import Unavailable
from shared.http.problems import Problem

LIMIT = 10_000
PACKED = gzip.compress(b"abc")
BOMB = gzip.compress(b"0" * 100_000_000)


def reach(limit: str) -> None:
    """Nobody asks here which limit it was."""


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=3_000), min_size=1, max_size=5))
def test_members_one_after_the_other_give_the_whole_or_a_refusal(parts: list[bytes]) -> None:
    body = b"".join(gzip.compress(part) for part in parts)
    whole = b"".join(parts)
    if len(whole) <= LIMIT:
        assert inflated(body, LIMIT, reach) == whole
        return
    with pytest.raises(Problem) as caught:
        inflated(body, LIMIT, reach)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(BOMB, 413, id="bomb"),
        pytest.param(gzip.compress(BOMB) * 2, 413, id="two-bombs-in-bombs"),
        pytest.param(b"no gzip", 422, id="no-gzip"),
        pytest.param(PACKED[:-1], 422, id="cut-short"),
        pytest.param(PACKED + b"garbage", 422, id="garbage-behind"),
        pytest.param(PACKED[:-8] + b"\xff" * 8, 422, id="wrong-sum"),
    ],
)
def test_bombs_and_what_is_no_gzip_are_refused(body: bytes, status: int) -> None:
    with pytest.raises(Problem) as caught:
        inflated(body, LIMIT, reach)
    assert caught.value.status == status


def test_nothing_compressed_is_nothing() -> None:
    assert inflated(b"", LIMIT, reach) == b""


def test_room_is_bounded_given_back_and_never_refused_to_the_first() -> None:
    metrics = Metrics(CollectorRegistry())
    room = Room(100, metrics)
    room.take(500)
    with pytest.raises(Unavailable):
        room.take(1)
    room.give_back(500)
    room.take(60)
    room.take(40)
    with pytest.raises(Unavailable):
        room.take(1)
    room.give_back(40)
    room.take(1)


def test_room_is_held_for_what_a_request_says_or_may_be() -> None:
    assert declared_size({"content-length": "7"}, LIMIT) == 7
    assert declared_size({"content-length": "70000"}, LIMIT) == LIMIT
    for headers in ({}, {"content-length": "-7"}, {"content-length": "7", "content-encoding": "gzip"}):
        assert declared_size(headers, LIMIT) == LIMIT
