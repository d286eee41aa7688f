"""An answer is one write where it can be, and nothing of one is held back for long."""

from dataclasses import dataclass, field

import pytest
from starlette.types import Scope

from shared.http.one_write import OneWrite

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"


@dataclass
class Cycle:
    scope: Scope = field(default_factory=lambda: {"method": "POST"})
    response_started: bool = True
    chunked_encoding: bool | None = False
    expected_content_length: int = 3


@dataclass
class Wire:
    written: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.written.append(b"(closed)")

    def is_closing(self) -> bool:
        return False


def test_the_head_of_an_answer_goes_out_with_its_body() -> None:
    wire = Wire()
    transport = OneWrite(Cycle(), wire)
    transport.write(HEAD)
    assert wire.written == []
    transport.write(b"abc")
    assert wire.written == [HEAD + b"abc"]


def test_a_body_in_several_parts_waits_for_its_first_only() -> None:
    wire = Wire()
    transport = OneWrite(Cycle(), wire)
    for part in (HEAD, b"a", b"HTTP/1.1 is what this part says", b"c"):
        transport.write(part)
    assert wire.written == [HEAD + b"a", b"HTTP/1.1 is what this part says", b"c"]


@pytest.mark.parametrize(
    "cycle",
    [Cycle(chunked_encoding=True), Cycle(expected_content_length=0), Cycle(scope={"method": "HEAD"})],
    ids=["streamed", "without a body", "to HEAD"],
)
def test_a_head_that_no_known_body_follows_goes_out_at_once(cycle: Cycle) -> None:
    wire = Wire()
    OneWrite(cycle, wire).write(HEAD)
    assert wire.written == [HEAD]


def test_what_asks_the_client_to_go_on_is_no_head() -> None:
    wire, cycle = Wire(), Cycle(response_started=False)
    transport = OneWrite(cycle, wire)
    transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    cycle.response_started = True
    transport.write(HEAD)
    transport.write(b"abc")
    assert wire.written == [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"abc"]


def test_a_connection_can_be_closed_through_it() -> None:
    wire = Wire()
    transport = OneWrite(Cycle(), wire)
    transport.close()
    assert wire.written == [b"(closed)"]
    assert not transport.is_closing()
