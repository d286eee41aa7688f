"""The commands. Exit codes as everywhere: 0 done, 1 refused or failed and says why, 2 called wrongly."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.console import Console

from services.calling import PAGE, Connection, call, every
from services.sources.shown import created_lines, event_line, kind_line, source_line, tried_lines
from shared.errors import AccordError
from shared.text_file import text_of

app = typer.Typer(no_args_is_help=True, help="Senders of webhooks: add, list, test, rotate, events, replay.")
out = Console(highlight=False, soft_wrap=True)

DEFAULT_URL: Final = "http://127.0.0.1:8080"

Url = Annotated[str, typer.Option(envvar="ACCORD_URL", help="Where Accord is.")]
Key = Annotated[
    str, typer.Option(envvar="ACCORD_KEY", help="A key of yours; better in the variable than on the command line.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines: the API's own answer.")]
Named = Annotated[str, typer.Argument(help="A source: its id, or its name.")]
SecretFile = Annotated[
    Path | None, typer.Option(help="A file with the secret that the sender gave you; else one is made.", exists=True)
]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="How it is called in rules and reports, e.g. website.")],
    *,
    kind: Annotated[str, typer.Option(help="hubspot, segment, generic, …")],
    team: Annotated[str, typer.Option(help="marketing or sales.")] = "marketing",
    settings: Annotated[
        Path | None, typer.Option(help="A file with its settings as JSON.", exists=True, dir_okay=False)
    ] = None,
    secret_file: SecretFile = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Make a source; says what to paste where. The secret is shown this once."""
    body = {"name": name, "kind": kind, "team": team, "settings": _settings(settings), **_secret(secret_file)}
    made = call(_connection(url, key), "POST", "/v1/sources", body)
    _print(made, created_lines(made), as_json=as_json)


@app.command("list")
def list_(url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Every source, the oldest first."""
    found = _sources(_connection(url, key))
    _print(found, map(source_line, found), as_json=as_json)


@app.command("test")
def try_out(
    source: Named,
    file: Annotated[Path, typer.Argument(help="A body as the sender posts it.", exists=True, dir_okay=False)],
    *,
    header: Annotated[list[str] | None, typer.Option(help="A header of the request: 'Name: value'.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Say what would become of a body under the source's settings; nothing of it is kept."""
    connection = _connection(url, key)
    body = {"body": text_of(file), "headers": dict(_header(one) for one in header or ())}
    tried = call(connection, "POST", f"/v1/sources/{_id(connection, source)}/test", body)
    _print(tried, tried_lines(tried), as_json=as_json)
    if tried["refused"] or tried["rejected"]:
        raise typer.Exit(1)


@app.command()
def rotate(
    source: Named,
    *,
    secret_file: SecretFile = None,
    overlap_hours: Annotated[float, typer.Option(help="How long the former secrets go on working.", min=0)] = 24,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Give a source a new secret, shown this once."""
    connection = _connection(url, key)
    body = {"overlap_seconds": round(overlap_hours * 3_600), **_secret(secret_file)}
    rotated = call(connection, "POST", f"/v1/sources/{_id(connection, source)}/rotation", body)
    lines = [*created_lines(rotated), f"The former secrets work until {rotated['former_until']}."]
    _print(rotated, lines, as_json=as_json)


@app.command()
def events(
    source: Named,
    *,
    standing: Annotated[list[str] | None, typer.Option(help="Only these: accepted, unmapped, rejected, …")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=PAGE)] = 20,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """What a source sent last, what became of it and why; then how much of which kind."""
    connection = _connection(url, key)
    id = _id(connection, source)
    query = [("limit", str(limit)), *(("standing", one) for one in standing or ())]
    found = call(connection, "GET", f"/v1/sources/{id}/events", query=query)["items"]
    if as_json:
        _print(found, (), as_json=True)
        return
    shown = call(connection, "GET", f"/v1/sources/{id}")
    lines = [*map(event_line, found), *map(kind_line, shown["kinds"])]
    _print(found, lines or [f"Nothing came yet. It is to be sent to {shown['url']}"], as_json=False)


@app.command()
def replay(
    source: Named,
    event: Annotated[str | None, typer.Argument(help="The id of a kept request; else all of them.")] = None,
    *,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Take kept requests once more, after a mapping was mended. What was accepted before is not counted twice."""
    connection = _connection(url, key)
    id = _id(connection, source)
    path = f"/v1/sources/{id}/events/{event}/replay" if event else f"/v1/sources/{id}/replays"
    asked = call(connection, "POST", path, {})
    _print(asked, [f"{asked['asked']} kept requests are taken once more."], as_json=as_json)


def _connection(url: str, key: str) -> Connection:
    if not key:
        raise typer.BadParameter("set ACCORD_KEY to a key of yours, or name one with --key")
    return Connection(url, key)


def _sources(connection: Connection) -> list[dict[str, Any]]:
    return every(connection, "/v1/sources")


def _id(connection: Connection, named: str) -> str:
    """Raises AccordError unless one source has this id or name."""
    try:
        return str(UUID(named))
    except ValueError:
        found: Sequence[str] = [one["id"] for one in _sources(connection) if one["name"] == named]
    if len(found) != 1:
        raise AccordError(f"there is no source {named}" if not found else f"several are called {named}: give its id")
    return found[0]


def _settings(file: Path | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    try:
        settings = json.loads(text_of(file))
    except ValueError as error:
        raise AccordError(f"{file} is not JSON: {error}") from None
    if not isinstance(settings, dict):
        raise AccordError(f"{file} must hold one JSON object")
    return settings


def _secret(file: Path | None) -> Mapping[str, str]:
    return {"secret": text_of(file).strip()} if file is not None else {}


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"{text} is no header: write 'Name: value'")
    return name.strip(), value.strip()


def _print(answer: Any, lines: Iterable[str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    for line in lines:
        out.print(line, markup=False)
