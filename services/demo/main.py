"""`accord demo`: starts a real `accord up`, posts a season over HTTP, shows what becomes of it, ends it all again."""

import asyncio
import json
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from services.demo.alertmanager import Alertmanager, AlertmanagerUnusable, find_alertmanager
from services.demo.arrangement import Keys, arrange, subscribe_alertmanager
from services.demo.board import Board, Qualified
from services.demo.change import AccordChange
from services.demo.client import AccordClient
from services.demo.news import ASSIGNED, tell
from services.demo.onlooker import Onlooker
from services.demo.process import AccordProcess
from services.demo.receiver import QUALIFIED, Receiver
from services.demo.settings import ACCORD, ALLOWED_NETWORKS, START_SECONDS
from services.demo.show import Show
from services.demo.traffic import Traffic
from services.demo.view import make_view
from shared.clock import Clock, SystemClock
from shared.errors import AccordError


def run_demo(*, once: bool = False, data: Path | None = None, seed: int = 7) -> int:
    """Returns the exit code. With `once` it ends by itself and the last line of its output is the counts as JSON."""
    console = Console(highlight=False)
    with _folder(data) as folder:
        try:
            counts, differences = asyncio.run(_run(console, folder, once=once, seed=seed))
        except KeyboardInterrupt:
            return 130
    for difference in differences:
        console.print(f"does not add up: {difference}", markup=False)
    if counts is not None:
        console.print(json.dumps(counts), markup=False, soft_wrap=True)
    return 1 if differences else 0


async def _run(console: Console, folder: Path, *, once: bool, seed: int) -> tuple[dict[str, Any] | None, list[str]]:
    clock = SystemClock()
    key = f"acc_demo_{secrets.token_hex(16)}"
    environment = {"ACCORD_ADMIN_KEY": key, "ACCORD_DELIVERY_ALLOWED_NETWORKS": ALLOWED_NETWORKS}
    accord = AccordProcess(folder, accord=ACCORD, environment=environment)
    stopped = _stop_on_signals()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        board = Board(url="", key="")
        heard: list[Traffic] = []
        receiver = await stack.enter_async_context(Receiver(lambda event: _hear(event, board, heard), board.tell_chat))
        alertmanager = _start_alertmanager(stack, session)
        # Ended before its receivers are, so that what is under way still reaches them.
        stack.push_async_callback(asyncio.to_thread, accord.stop)
        accord.start()
        console.print("Starting Accord …", markup=False)
        url = await _address(accord, stopped)
        if url is None:
            return None, []
        admin = AccordClient(session, url, key)
        keys = await arrange(admin, receiver)
        board.url, board.key = url, keys.onlooker
        if alertmanager is not None and not await _connect(alertmanager, admin, board, console):
            alertmanager = None
        console.print(f"Today: {board.today}  (the link signs you in)", markup=False, soft_wrap=True)
        traffic = _traffic(admin, keys, board, clock=clock, seed=seed)
        heard.append(traffic)
        stack.push_async_callback(traffic.stop)
        view = make_view(console)
        stack.callback(view.close)
        show = Show(
            board=board,
            traffic=traffic,
            change=_change(admin, keys, board, clock),
            onlooker=Onlooker(admin.with_key(keys.onlooker), receiver, board, alertmanager=alertmanager),
            view=view,
            clock=clock,
            check=accord.check,
        )
        if not once:
            await show.until(stopped, seed)
            return None, []
        differences = await show.once(stopped, seed)
        return board.counts.as_dict(), differences


def _start_alertmanager(stack: AsyncExitStack, session: aiohttp.ClientSession) -> Alertmanager | None:
    """None where none is installed. It gets ready beside Accord."""
    if (binary := find_alertmanager()) is None:
        return None
    alertmanager = Alertmanager(session, binary)
    stack.push_async_callback(asyncio.to_thread, alertmanager.stop)
    alertmanager.start()
    return alertmanager


async def _connect(alertmanager: Alertmanager, admin: AccordClient, board: Board, console: Console) -> bool:
    """Subscribes it. False, and said, where an installed one does not start: that is no reason to show nothing."""
    try:
        await alertmanager.wait_until_ready()
    except AlertmanagerUnusable as error:
        console.print(f"The demo goes on without Alertmanager: {error}", markup=False, soft_wrap=True)
        return False
    await subscribe_alertmanager(admin, alertmanager.url)
    board.alertmanager = alertmanager.url
    return True


def _traffic(admin: AccordClient, keys: Keys, board: Board, *, clock: Clock, seed: int) -> Traffic:
    return Traffic(
        marketing=admin.with_key(keys.marketing),
        sales=admin.with_key(keys.sales),
        hooks=keys.hooks,
        board=board,
        clock=clock,
        seed=seed,
    )


def _change(admin: AccordClient, keys: Keys, board: Board, clock: Clock) -> AccordChange:
    """Both sides of the agreement, each with a key of its own role."""
    return AccordChange(
        marketing=admin.with_key(keys.marketing_signer),
        sales=admin.with_key(keys.sales_signer),
        onlooker=admin.with_key(keys.onlooker),
        board=board,
        clock=clock,
    )


def _hear(event: dict[str, Any], board: Board, heard: list[Traffic]) -> None:
    """A verified webhook."""
    if event["type"] == QUALIFIED:
        qualified = Qualified.from_event(event)
        board.tell_qualified(qualified)
        for traffic in heard:
            traffic.hear(qualified)
        return
    tell(event, board)
    data = event["data"]
    if event["type"] == ASSIGNED and data["why"] == "reassigned":
        for traffic in heard:
            traffic.hear_taken_over(event["subject"], data["lead"].get("email"), data["owner"])


async def _address(accord: AccordProcess, stopped: asyncio.Event) -> str | None:
    """Where Accord is ready; None if somebody stopped the demo meanwhile."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while not stopped.is_set():
        if url := accord.address():
            return url
        if asyncio.get_running_loop().time() > deadline:
            raise AccordError(f"`accord up` was not ready within {START_SECONDS:g} s:\n{accord.last_lines()}")
        await asyncio.sleep(0.05)
    return None


def _stop_on_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    return stopped


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """A folder of the demo's own, gone afterwards; or the given one, which must be new or empty."""
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        if any(data.iterdir()):
            raise AccordError(f"{data} is not empty; the demo needs a folder of its own")
        yield data.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="accord-demo-"))
    # Postgres never runs as root: as root it is another user's, who must be able to reach it.
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
