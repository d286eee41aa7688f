"""The commands. Exit codes as everywhere: 0 done, 1 refused or failed and says why, 2 called wrongly."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from services.accords.client import newest_signed, versions
from services.accords.shown import difference_lines, next_lines, version_line, version_lines
from services.calling import Connection, call
from shared.agreement.difference import differences
from shared.agreement.loading import load_accord, read_accord
from shared.text_file import text_of

app = typer.Typer(no_args_is_help=True, help="Versions of the accord: propose, compare, sign, withdraw.")
out = Console(highlight=False, soft_wrap=True)

DEFAULT_URL: Final = "http://127.0.0.1:8080"

Url = Annotated[str, typer.Option(envvar="ACCORD_URL", help="Where Accord is.")]
Key = Annotated[
    str, typer.Option(envvar="ACCORD_KEY", help="A key of yours; better in the variable than on the command line.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines: the API's own answer.")]
EffectiveAt = Annotated[
    str | None,
    typer.Option(help="When it takes effect, like 2026-12-01T08:00:00Z; else 10 s after the second signature."),
]
Number = Annotated[int, typer.Argument(help="The version's number.", min=1)]


@app.command("list")
def list_(url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Every version, the newest first, with its state as of now."""
    found = versions(_connection(url, key))
    _print(found, (version_line(version) for version in found), as_json=as_json)


@app.command()
def show(
    version: Number,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
    source: Annotated[bool, typer.Option("--source", help="Only the document, as it was written.")] = False,
) -> None:
    """One version: its state, who signed it, and what it changes."""
    found = call(_connection(url, key), "GET", f"/v1/accords/{version}")
    if source:
        typer.echo(found["source_text"], nl=not found["source_text"].endswith("\n"))
        return
    _print(found, version_lines(found), as_json=as_json)


@app.command()
def diff(
    versions: Annotated[
        list[str],
        typer.Argument(
            help="A version (compared with the signed one before it), two versions, or a file (compared with the "
            "newest signed version)."
        ),
    ],
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """What one version does differently from another, in words."""
    connection = _connection(url, key)
    are_numbers = [name.isascii() and name.isdecimal() for name in versions]
    if len(versions) == 1 and not are_numbers[0]:
        found = _difference_of_file(connection, Path(versions[0]))
    elif len(versions) <= 2 and all(are_numbers):
        query = {"from": versions[0]} if len(versions) == 2 else {}
        found = call(connection, "GET", f"/v1/accords/{versions[-1]}/difference", query=query)
    else:
        raise typer.BadParameter("name one version, two versions, or one file")
    _print(found, difference_lines(found), as_json=as_json)


@app.command()
def propose(
    file: Annotated[Path, typer.Argument(help="An accord in YAML or JSON.", exists=True, dir_okay=False)],
    effective_at: EffectiveAt = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Propose a document as the next version, for marketing and sales to sign (scope accord:propose)."""
    connection = _connection(url, key)
    body = {"document": text_of(file), **_time(effective_at)}
    proposed = call(connection, "POST", "/v1/accords", body)
    if as_json:
        _print(proposed, (), as_json=True)
        return
    whole = call(connection, "GET", f"/v1/accords/{proposed['version']}")
    remarks = [f"warning: {line}" for line in proposed["warnings"]]
    _print(proposed, [*remarks, *difference_lines(whole["difference"]), *next_lines(proposed)], as_json=False)


@app.command()
def sign(
    version: Number,
    effective_at: EffectiveAt = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Sign a proposal for your side: a key of role marketing or of role sales, with the scope accord:sign."""
    signed = call(_connection(url, key), "POST", f"/v1/accords/{version}/signatures", _time(effective_at))
    _print(signed, next_lines(signed), as_json=as_json)


@app.command()
def withdraw(version: Number, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Take a proposal back: either side may."""
    withdrawn = call(_connection(url, key), "POST", f"/v1/accords/{version}/withdrawal", {})
    _print(withdrawn, [version_line(withdrawn)], as_json=as_json)


def _connection(url: str, key: str) -> Connection:
    if not key:
        raise typer.BadParameter("set ACCORD_KEY to a key of yours, or name one with --key")
    return Connection(url, key)


def _difference_of_file(connection: Connection, file: Path) -> dict[str, Any]:
    """Worked out here: nothing of the file is put on record before it is proposed."""
    if not file.is_file():
        raise typer.BadParameter(f"{file} is neither a version's number nor a file")
    before = newest_signed(connection)
    changes = differences(read_accord(before["document"]), load_accord(text_of(file)))
    return {"from": before["version"], "to": str(file), "changes": [change._asdict() for change in changes]}


def _time(effective_at: str | None) -> dict[str, str]:
    return {} if effective_at is None else {"effective_at": effective_at}


def _print(answer: Any, lines: Iterable[str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    for line in lines:
        out.print(line, markup=False)
