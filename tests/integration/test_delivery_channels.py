"""People are told: one message of everything that is due, through receivers that check its form, a real mail server,
and Debian's Alertmanager where it is installed."""

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from alertmanager_tools import binary
from builders import eventually, lead_in
from channel_shapes import check_alerts, check_slack, check_teams
from delivery_builders import Desk, OpenDesk, Receiver, clock_event, desks, listening
from own_certificates import own_certificate

from services.delivery.store import records
from shared.events.sla import ClockBreached, ClockResolved


@pytest.fixture
async def open_desk(pool: asyncpg.Pool) -> AsyncIterator[OpenDesk]:
    async with desks(pool) as make:
        yield make


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening(Receiver(secret=None)) as made:
        yield made


async def test_what_is_due_is_one_message_and_the_next_one_waits(open_desk: OpenDesk, receiver: Receiver) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url, format="slack", group_seconds=60)
    await desk.handle(*(desk.record(f"{n}", lead=lead_in(0, n)) for n in range(30)))
    assert (await desk.channels.turn(), receiver.asked) == (1, 1)
    check_slack(receiver.received[0].event)
    assert receiver.received[0].event["text"] == "30 now mql"
    assert "webhook-id" not in receiver.received[0].headers
    assert {state for state, *_ in await desk.deliveries()} == {"delivered"}
    await desk.handle(desk.record("later"))
    assert await desk.channels.turn() == 0
    desk.clock.advance(timedelta(seconds=61))
    assert await desk.channels.turn() == 1
    assert len(receiver.received[1].event["blocks"]) == 1
    assert await desk.channels.turn() == 0


async def test_a_message_that_can_not_be_recorded_is_recorded_later_and_not_made_again(
    open_desk: OpenDesk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url, format="slack")
    await desk.handle(desk.record("one"))
    with monkeypatch.context() as patched:

        async def away(*_: Any) -> Any:
            raise ConnectionResetError

        patched.setattr(records, "record", away)
        running = asyncio.create_task(desk.channels.run())
        await eventually(lambda: receiver.asked == 1, within=5)
        assert await desk.deliveries() == [("pending", 0, None)]
    try:
        await eventually(lambda: _is_told(desk), within=5)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert receiver.asked == 1


async def test_a_message_of_nothing_that_is_kept_still_is_not_called_delivered(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url, format="slack")
    await desk.handle(desk.record("old"))
    await desk.pool.execute("UPDATE delivery.events SET body = NULL")
    await desk.channels.turn()
    assert receiver.asked == 0
    assert await desk.pool.fetchval("SELECT outcome FROM delivery.published_deliveries") == "expired"
    assert await desk.deliveries() == [("dead", 1, None)]
    # That says nothing of the endpoint.
    assert await desk.pool.fetchval("SELECT failing_since FROM delivery.published_endpoints") is None


async def _is_told(desk: Desk) -> bool:
    return await desk.deliveries() == [("delivered", 1, 200)]


async def test_nobody_is_told_in_quiet_hours_and_everything_afterwards(open_desk: OpenDesk, receiver: Receiver) -> None:
    desk = await open_desk()
    now = desk.clock.now()
    hours = {"timezone": "UTC", "from": f"{now - timedelta(hours=1):%H:%M}", "to": f"{now + timedelta(hours=2):%H:%M}"}
    await desk.subscribe(receiver.url, format="teams", quiet_hours=json.dumps(hours))
    for part in range(3):
        await desk.handle(desk.record(f"{part}"))
        assert await desk.channels.turn() == 0
    desk.clock.advance(timedelta(hours=2))
    assert await desk.channels.turn() == 1
    check_teams(receiver.received[0].event)


async def test_a_channel_that_fails_is_told_again_with_what_came_meanwhile(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url, format="slack")
    receiver.statuses = [(500, {})]
    await desk.handle(desk.record("one"))
    await desk.channels.turn()
    await desk.handle(desk.record("two", lead=lead_in(0, 1)))
    assert await desk.channels.turn() == 1  # what failed goes along before its time
    assert sorted(await desk.deliveries()) == [("delivered", 1, 200), ("delivered", 2, 200)]
    assert receiver.received[1].event["text"] == "2 now mql"


async def test_processes_that_race_tell_it_once(open_desk: OpenDesk, receiver: Receiver) -> None:
    all_ = [await open_desk() for _ in range(4)]
    await all_[0].subscribe(receiver.url, format="slack")
    await all_[0].handle(*(all_[0].record(f"{n}", lead=lead_in(0, n)) for n in range(10)))
    assert sum(await asyncio.gather(*(desk.channels.turn() for desk in all_))) == 1
    assert receiver.asked == 1


class Mailbox:
    """A mail server's handler: keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.was_encrypted = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.recipients += envelope.rcpt_tos
        self.was_encrypted = session.ssl is not None
        return "250 kept"


@contextmanager
def mail_server(folder: Path, *, with_tls: bool) -> Iterator[tuple[Mailbox, int]]:
    """With TLS it wants STARTTLS and a password."""

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"accord", b"secret")
        return AuthResult(success=is_right)

    box = Mailbox()
    secure: dict[str, Any] = {"tls_context": own_certificate(folder), "require_starttls": True, "auth_required": True}
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    server = Controller(
        box, hostname="127.0.0.1", port=port, authenticator=authenticate, **(secure if with_tls else {})
    )
    server.start()
    try:
        yield box, port
    finally:
        server.stop()


async def test_a_digest_reaches_a_real_mail_server(open_desk: OpenDesk, tmp_path: Path) -> None:
    with mail_server(tmp_path, with_tls=False) as (box, port):
        desk = await open_desk(smtp_host="127.0.0.1", smtp_port=port, smtp_tls="none", smtp_from="accord@example.com")
        await desk.subscribe("mailto:ann@example.com,bob@example.com", format="email", name="Sales")
        await desk.handle(desk.record("one"), desk.record("two", lead=lead_in(0, 1)))
        assert await desk.channels.turn() == 1
    (mail,) = box.mails
    assert (mail["subject"], mail["from"]) == ("2 now mql", "accord@example.com")
    assert box.recipients == ["ann@example.com", "bob@example.com"]
    assert mail.get_content().count("lead → mql") == 2
    assert "https://accord.example/leads/" in mail.get_content()
    assert [row[0] for row in await desk.deliveries()] == ["delivered", "delivered"]


async def test_mail_is_sent_over_tls_with_a_password_or_not_at_all(
    open_desk: OpenDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(tmp_path, with_tls=True) as (box, port):
        more = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_username": "accord", "smtp_password": "secret"}
        stranger = await open_desk(**more)
        await stranger.subscribe("mailto:ann@example.com", format="email")
        await stranger.handle(stranger.record("one"))
        await stranger.channels.turn()
        assert box.mails == []  # nobody vouches for its certificate
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        stranger.clock.advance(timedelta(seconds=10))
        await stranger.channels.turn()
        assert (len(box.mails), box.was_encrypted) == (1, True)
    assert await stranger.deliveries() == [("delivered", 2, 250)]


async def test_mail_without_a_server_says_what_is_missing(open_desk: OpenDesk) -> None:
    desk = await open_desk()
    await desk.subscribe("mailto:ann@example.com", format="email")
    await desk.handle(desk.record("one"))
    await desk.channels.turn()
    assert await desk.deliveries() == [("pending", 1, None)]
    answer = await desk.pool.fetchval("SELECT answer FROM delivery.published_attempts")
    assert answer == b"ACCORD_DELIVERY_SMTP_HOST is not set"


def clocks(desk: Desk, kind: type[ClockBreached] | type[ClockResolved], reason: str) -> Any:
    return desk.record(reason, kind=partial(clock_event, kind))


async def test_an_alert_fires_and_resolves_even_if_its_beginning_could_not_be_told_at_once(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url.removesuffix("/hook"), format="alertmanager")
    receiver.statuses = [(503, {})]
    await desk.handle(clocks(desk, ClockBreached, "breach"), desk.record("nothing for an alert manager"))
    await desk.channels.turn()
    await desk.handle(clocks(desk, ClockResolved, "resolved"))
    await desk.channels.turn()
    told: list[Any] = [got.event for got in receiver.received]
    first, second = told
    check_alerts([*first, *second])
    assert len(first) == len(second) == 1
    assert first[0]["labels"] == second[0]["labels"]
    assert datetime.fromisoformat(second[0]["endsAt"]) <= desk.clock.now() < datetime.fromisoformat(first[0]["endsAt"])
    assert sorted(await desk.deliveries()) == [("delivered", 1, 200), ("delivered", 2, 200)]


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "am.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [binary("prometheus-alertmanager"), f"--config.file={tmp_path}/am.yml", f"--storage.path={tmp_path}/data"]
    where = [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    process = subprocess.Popen([*command, *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def test_debians_alertmanager_shows_the_breach_until_it_is_resolved(
    open_desk: OpenDesk, alertmanager: str
) -> None:
    async def firing() -> list[dict[str, Any]]:
        command = [binary("amtool"), "alert", "query", "-o", "json", f"--alertmanager.url={alertmanager}"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
        found: list[dict[str, Any]] = json.loads(done.stdout) if done.returncode == 0 else [{"labels": {}}]
        return found

    async def is_silent() -> bool:
        return await firing() == []

    await eventually(is_silent, within=20)
    desk = await open_desk()
    await desk.subscribe(alertmanager, format="alertmanager")
    await desk.handle(clocks(desk, ClockBreached, "breach"))
    await desk.channels.turn()
    (alert,) = await firing()
    assert (alert["labels"]["alertname"], alert["labels"]["rule"]) == ("AccordClockBreached", "first-contact")
    assert alert["annotations"]["summary"].startswith("Broken promise: first-contact")
    assert datetime.fromisoformat(alert["endsAt"]) > desk.clock.now() + timedelta(days=20)
    await desk.handle(clocks(desk, ClockResolved, "resolved"))
    await desk.channels.turn()
    await eventually(is_silent, within=10)
    assert {row[0] for row in await desk.deliveries()} == {"delivered"}
