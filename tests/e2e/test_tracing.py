"""One webhook's trace, from the request to what is delivered, on both carriers and with a real OTLP receiver."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from builders import eventually
from delivery_builders import SECRET, Received, Receiver, listening
from kafka_fixtures import NEVER_GIVEN_UP
from patience import PATIENCE
from running_accord import Caller, RunningAccord, start_accord
from spans import TRACE, TRACE_ID, Collector, SeenSpan, collecting

from deploy.kafka.rig import Rig
from services.demo.settings import ACCORD

QUALIFIED, BREACHED = "accord.lead.qualified", "accord.clock.breached"
LEAD = {"email": "traced@okapi.example"}
EVENTS = [
    {
        "type": "whitepaper.downloaded",
        "lead": LEAD,
        "profile": {"title": "VP Operations", "employees": 1_200, "industry": "logistics"},
    },
    {"type": "demo.requested", "lead": LEAD},
]
BREACH_SECONDS = 25.0
PERSONAL = ("okapi", "sales.example", "VP Operations")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="accord-tracing-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening(Receiver()) as receiver:
        yield receiver


@pytest.fixture(params=["postgresql", "kafka"])
def carrier(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, str]]]:
    """The carrier's name as spans tell it, and what `accord up` is told to use it."""
    if request.param == "postgresql":
        yield request.param, {}
        return
    with Rig(kafka=request.getfixturevalue("kafka_jars"), settings=NEVER_GIVEN_UP) as rig:
        yield request.param, {"ACCORD_KAFKA": rig.bootstrap}


async def test_a_trace_is_carried_unchanged_to_the_receiver_without_any_exporter(
    caller: Caller, receiver: Receiver
) -> None:
    await _subscribe(caller, receiver)
    await _post(caller)
    qualified = await _told(receiver, QUALIFIED)
    assert qualified.headers["traceparent"] == qualified.event["traceparent"] == TRACE


async def test_the_spans_of_one_webhook_are_seen_from_its_request_to_its_delivery(
    folder: Path, session: aiohttp.ClientSession, receiver: Receiver, carrier: tuple[str, dict[str, str]]
) -> None:
    system, environment = carrier
    async with collecting() as collector:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "accord-test", **environment}
        accord = await start_accord(folder, ACCORD, **told)
        try:
            qualified, breached = await _qualify_and_wait(accord, session, receiver)
        finally:
            # Spans that were not sent yet are sent at the end.
            assert await asyncio.to_thread(accord.process.stop) == 0
        _assert_the_request_and_its_deliveries_are_one_trace(collector, qualified)
        _assert_each_service_has_steps_linked_to_it(collector, system)
        _assert_a_breach_is_a_trace_of_its_sweep(collector, breached)
        assert {span.service for span in collector.spans} == {"accord-test"}
        said = repr([span.attributes for span in collector.spans])
        assert not [word for word in (*PERSONAL, qualified.event["subject"]) if word in said]


async def _qualify_and_wait(
    accord: RunningAccord, session: aiohttp.ClientSession, receiver: Receiver
) -> tuple[Received, Received]:
    caller = Caller(session, accord.url)
    await _subscribe(caller, receiver)
    await _post(caller)
    return await _told(receiver, QUALIFIED), await _told(receiver, BREACHED)


async def _subscribe(caller: Caller, receiver: Receiver) -> None:
    body = {"name": "traced", "url": receiver.url, "types": [QUALIFIED, BREACHED], "secret": SECRET}
    answer = await caller.post("/v1/subscriptions", body)
    assert answer.status == 201, answer


async def _post(caller: Caller) -> None:
    answer = await caller.post("/v1/events", {"events": EVENTS}, traceparent=TRACE)
    assert (answer.status, answer.headers["traceparent"].split("-")[1]) == (202, TRACE_ID)


async def _told(receiver: Receiver, event_type: str) -> Received:
    def found() -> list[Received]:
        return [
            got
            for got in receiver.received
            if got.event["type"] == event_type and got.event["data"]["lead"]["email"] == LEAD["email"]
        ]

    await eventually(lambda: bool(found()), within=BREACH_SECONDS)
    return found()[0]


def _assert_the_request_and_its_deliveries_are_one_trace(collector: Collector, qualified: Received) -> None:
    (posted,) = collector.named("POST /v1/events")
    assert (posted.trace_id, posted.parent_id, posted.kind) == (TRACE_ID, TRACE.split("-")[2], "SERVER")
    # What was posted is carried as the request's span; what was sent is the try's.
    assert qualified.event["traceparent"] == f"00-{TRACE_ID}-{posted.span_id}-01"
    delivered = _span_of(collector, qualified)
    assert (delivered.name, delivered.trace_id, delivered.parent_id) == ("deliver", TRACE_ID, posted.span_id)
    assert delivered.attributes["http.response.status_code"] == 200


def _assert_each_service_has_steps_linked_to_it(collector: Collector, system: str) -> None:
    for service in ("scoring", "stages", "sla-monitor", "delivery"):
        steps: list[SeenSpan] = [span for span in collector.named(f"step {service}") if TRACE_ID in span.links]
        assert steps, service
        assert {span.trace_id for span in steps} == {TRACE_ID}  # nothing else was posted, so they are part of it
        assert {span.attributes["messaging.system"] for span in steps} == {system}
        assert all(0 < span.seconds < 10 * PATIENCE for span in steps)


def _assert_a_breach_is_a_trace_of_its_sweep(collector: Collector, breached: Received) -> None:
    delivered = _span_of(collector, breached)
    assert delivered.trace_id != TRACE_ID
    sweeps = {span.span_id: span for span in collector.named("sweep sla-monitor")}
    assert sweeps[delivered.parent_id].trace_id == delivered.trace_id
    assert any(delivered.trace_id in span.links for span in collector.named("step delivery"))


def _span_of(collector: Collector, got: Received) -> SeenSpan:
    """The try that this webhook came by."""
    _, trace_id, span_id, _ = got.headers["traceparent"].split("-")
    (span,) = (span for span in collector.spans if (span.trace_id, span.span_id) == (trace_id, span_id))
    return span
