"""Bounds on bodies and rates, and the word that each gives when it is reached."""

from collections.abc import Sequence

import pytest
from asgi_client import Answer, ask
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from shared.http import limits
from shared.http.limits import RateLimiter, Received, read_body, stream_body
from shared.http.problems import Problem, problem_response


async def _send(
    chunks: Sequence[bytes], *, declared: int | None = None, expect: str | None = None
) -> tuple[Answer, list[str]]:
    """What reaching a limit was called; and "received", once the last of the body was."""
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def watched() -> Message:
            message = await receive()
            if not message.get("more_body"):
                reached.append("received")
            return message

        try:
            body = await read_body(scope, watched, bytes_max=10, on_limit=reached.append)
        except Problem as problem:
            await problem_response(problem, scope["path"])(scope, receive, send)
        else:
            await Response(body)(scope, receive, send)

    headers = {} if declared is None else {"Content-Length": str(declared)}
    if expect is not None:
        headers["Expect"] = expect
    return await ask(app, "/", method="POST", headers=headers, chunks=chunks), reached


async def test_a_body_up_to_the_limit_comes_whole() -> None:
    answer, reached = await _send([b"12345", b"", b"67890"], declared=10)
    assert (answer.body, reached) == (b"1234567890", ["received"])


async def test_a_body_that_says_it_is_too_large_is_dropped_to_its_end_and_refused() -> None:
    answer, reached = await _send([b"1", b"2345678901"], declared=11)
    assert (answer.status, answer.headers["connection"], reached) == (413, "close", ["received", "body_bytes"])


async def test_a_body_that_has_not_begun_is_refused_unread() -> None:
    answer, reached = await _send([b"12345678901"], declared=11, expect="100-continue")
    assert (answer.status, reached) == (413, ["body_bytes"])


async def test_a_body_that_grows_past_the_limit_is_dropped_whatever_it_said() -> None:
    answer, reached = await _send([b"123456", b"78901", b"2"], declared=5)
    assert (answer.status, reached) == (413, ["received", "body_bytes"])


async def test_no_more_is_dropped_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DROP_BYTES_MAX", 5)
    answer, reached = await _send([b"123456", b"78901", b"234567", b"8"])
    assert (answer.status, reached) == (413, ["body_bytes"])


async def _stream(chunks: Sequence[bytes], **headers: str) -> tuple[list[bytes], int | None, int]:
    """What came of a streamed body of ten bytes at most, how it was refused, and how many messages were left then."""
    waiting: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting[-1]["more_body"] = False
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "headers": raw}

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    came: list[bytes] = []
    received = Received(scope, receive)
    try:
        async for piece in stream_body(scope, received, bytes_max=10):
            if piece == b"bad":
                raise Problem(422, "Bad")
            came.append(piece)
    except Problem as problem:
        await received.drop_rest()
        return came, problem.status, len(waiting)
    return came, None, len(waiting)


async def test_a_streamed_body_comes_piece_by_piece_and_no_further_than_its_limit() -> None:
    assert await _stream([b"12345", b"", b"67890"]) == ([b"12345", b"", b"67890"], None, 0)
    assert await _stream([b"12345", b"678901", b"2", b"3"]) == ([b"12345"], 413, 0)
    assert await _stream([b"12345"], **{"content-length": "11"}) == ([], 413, 0)


async def test_the_rest_of_a_refused_body_is_dropped_unless_it_has_not_begun() -> None:
    assert await _stream([b"bad", b"1", b"2"]) == ([], 422, 0)
    assert await _stream([b"bad", b"1", b"2"], expect="100-continue") == ([], 422, 0)
    assert await _stream([b"1"], expect="100-continue", **{"content-length": "11"}) == ([], 413, 1)


async def test_nobody_waits_for_more_of_a_body_that_has_ended() -> None:
    messages: list[Message] = [{"type": "http.request", "body": b"1"}]

    async def receive() -> Message:
        return messages.pop(0)

    received = Received({"headers": []}, receive)
    await received()
    await received.drop_rest()


async def test_a_streamed_body_that_breaks_off_is_told_to_nobody() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    received = Received({"headers": []}, receive)
    with pytest.raises(Problem, match="400"):
        assert [piece async for piece in stream_body({"headers": []}, received, bytes_max=10)] == []
    await received.drop_rest()


def _limiter(reached: list[str], now: list[float], **options: int) -> RateLimiter:
    return RateLimiter(2.0, 4, on_limit=reached.append, monotonic=lambda: now[0], **options)


def test_a_key_may_spend_its_burst_and_then_its_rate() -> None:
    reached: list[str] = []
    now = [0.0]
    limiter = _limiter(reached, now)
    for _ in range(4):
        limiter.require("key")
    with pytest.raises(Problem) as refused:
        limiter.require("key")
    assert (refused.value.status, refused.value.headers, reached) == (429, {"Retry-After": "1"}, ["rate"])
    now[0] = 0.5
    limiter.require("key")
    assert limiter.take("key") == pytest.approx(0.5)
    assert limiter.take("another key") == 0.0


def test_a_batch_above_the_burst_passes_once_and_is_paid_for_afterwards() -> None:
    now = [0.0]
    limiter = _limiter([], now)
    assert limiter.take("key", 10) == 0.0
    assert limiter.take("key") == pytest.approx(3.5)
    now[0] = 3.5
    assert limiter.take("key") == 0.0


def test_the_number_of_keys_remembered_is_bounded() -> None:
    limiter = _limiter([], [0.0], keys_max=2)
    for key in ("a", "b", "c"):
        limiter.take(key, 4)
    assert limiter.take("c", 4) > 0
    assert limiter.take("a", 4) == 0.0
