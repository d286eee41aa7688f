"""The demo on a terminal: tables that move on a real one, plain lines where the output is a pipe."""

from datetime import datetime
from typing import Protocol

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from services.demo.board import Board, Breach, Qualified, RunningClock

CLOCKS_SHOWN = 5
STATUS_EVERY_SECONDS = 3.0


class View(Protocol):
    """Shows a board again and again. `close` leaves the last state standing."""

    def show(self, board: Board, now: datetime) -> None: ...

    def close(self) -> None: ...


def make_view(console: Console) -> View:
    return LiveView(console) if console.is_terminal else PlainView(console)


class PlainView:
    """One line for each piece of news, and a line of numbers every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told_at: datetime | None = None
        self._has_told_addresses = False

    def show(self, board: Board, now: datetime) -> None:
        while board.news:
            self._line(board.news.popleft())
        if board.first and not self._has_told_addresses:
            self._has_told_addresses = True
            for name, address in board.addresses():
                self._line(f"{name}: {address}")
        if self._told_at is None or (now - self._told_at).total_seconds() >= STATUS_EVERY_SECONDS:
            self._told_at = now
            self._line(_status(board, now))

    def close(self) -> None:
        """Nothing stays open."""

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveView:
    """A page that is drawn again in place, under the addresses. It draws only when shown, never from its own thread."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._live.start()
        self._has_told_addresses = False

    def show(self, board: Board, now: datetime) -> None:
        board.news.clear()
        if board.first and not self._has_told_addresses:
            self._has_told_addresses = True
            for name, address in board.addresses():
                self._live.console.print(f"{name}: {address}", markup=False, highlight=False, soft_wrap=True)
        self._live.update(_page(board, now), refresh=True)

    def close(self) -> None:
        self._live.stop()


def _status(board: Board, now: datetime) -> str:
    counts = board.counts
    line = f"{counts.posted} posted, {counts.leads} leads, {counts.qualified} qualified; "
    line += f"clocks: {len(board.clocks)} running, {counts.met} met, {counts.breached} breached"
    if board.clocks:
        nearest = board.clocks[0]
        line += f"; next: {nearest.rule} of {nearest.owner} in {_seconds_left(nearest, now):.1f} s"
    if board.alertmanager:
        line += f"; {len(board.alerts)} firing in Alertmanager"
    return line


def _page(board: Board, now: datetime) -> Group:
    clocks = Panel(_clocks(board, now), title="clocks counting down", box=box.ROUNDED)
    numbers = Panel(_numbers(board), title="the line", box=box.ROUNDED)
    grid = Table.grid(expand=True)
    grid.add_column(ratio=2)
    grid.add_column(ratio=4)
    grid.add_row(numbers, clocks)
    first = Panel(_first(board.first), title="the first qualified lead, and why", box=box.ROUNDED)
    breaches = Panel(
        _breaches(list(board.breaches)),
        title="breaches, as the webhook receiver got them",
        subtitle=f"{len(board.alerts)} firing in Alertmanager" if board.alertmanager else None,
        box=box.ROUNDED,
    )
    title = Text("Accord — a season in a minute", style="bold")
    change = Panel(Text(board.change or "version 1, as it was started with"), title="the accord", box=box.ROUNDED)
    return Group(title, grid, change, first, breaches)


def _numbers(board: Board) -> Table:
    """In two columns: what was posted, and what came of it."""
    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column()
        table.add_column(justify="right")
    numbers = [
        (name, Text(f"{value:,}", style=_style_of(name, value))) for name, value in board.counts.as_dict().items()
    ]
    half = len(numbers) // 2
    for posted, came in zip(numbers[:half], numbers[half:], strict=True):
        table.add_row(*posted, *came)
    return table


def _style_of(name: str, value: float) -> str:
    return "bold red" if name == "breached" and value else "bold"


def _clocks(board: Board, now: datetime) -> Table:
    table = Table(box=None, expand=True)
    for name, width in (("left", 7), ("promise", 20), ("lead", 10), ("owner", 10)):
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
    for clock in board.clocks[:CLOCKS_SHOWN]:
        left = _seconds_left(clock, now)
        style = "red" if left < 1 else "yellow" if clock.state == "warned" else "green"
        who = board.names.get(clock.lead_id, clock.lead_id)
        table.add_row(Text(f"{left:5.1f} s", style=style), clock.rule, escape(who), clock.owner or "nobody")
    return table


def _first(qualified: Qualified | None) -> Text:
    if qualified is None:
        return Text("nobody yet", style="dim")
    text = Text(f"{qualified.who}\n", style="bold")
    score = f"engagement {qualified.engagement:.0f}, fit {qualified.fit}, grade {qualified.grade}"
    text.append(f"{score} → {qualified.owner}, first due: {qualified.due}\n", style="default")
    text.append("\n".join(f"{points:+5.0f}  {words}" for words, points in qualified.reasons), style="cyan")
    return text


def _breaches(breaches: list[Breach]) -> Text:
    if not breaches:
        return Text("none yet", style="dim")
    lines = (
        f"{b.rule}: {b.owner} — {b.who} (announced {b.announced_after_seconds:.2f} s after the deadline)"
        for b in breaches
    )
    return Text("\n".join(lines), style="red", no_wrap=True, overflow="ellipsis")


def _seconds_left(clock: RunningClock, now: datetime) -> float:
    return max(0.0, (clock.deadline - now).total_seconds())
