"""Files and folders that a command can't use are named in a sentence, by every command that takes them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from shared.db.data_folder import ADDRESS_FILE
from shared.errors import AccordError, InvalidDocument

KEY = "--key=acc_test_secret"


@pytest.mark.parametrize(
    "command",
    [
        "up --port 0 --data {folder} --accord {file}",
        "check {file}",
        f"accords propose {{file}} {KEY}",
        f"sources test 7f0c6c1e-6d0f-4b8e-9b0e-0a6f2b2f7f11 {{file}} {KEY}",
        f"sources add website --kind generic --settings {{file}} {KEY}",
        f"sources add website --kind generic --secret-file {{file}} {KEY}",
    ],
)
def test_a_file_that_is_no_text_is_named(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "picture"
    file.write_bytes(b"ok \xff")
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    result = CliRunner().invoke(app, command.format(file=file, folder=tmp_path / "data").split())
    assert isinstance(result.exception, InvalidDocument), result.exc_info
    assert str(result.exception) == f"{file} is not UTF-8 text: byte 3"


@pytest.mark.parametrize("command", ["doctor", "resume scoring 0", "skip scoring 0"])
def test_a_data_folder_in_which_nothing_runs_is_named(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    (tmp_path / ADDRESS_FILE).write_text("postgresql://accord@127.0.0.1:1/accord\n")
    result = CliRunner().invoke(app, [*command.split(), "--data", str(tmp_path)])
    assert isinstance(result.exception, AccordError), result.exc_info
    assert str(result.exception).startswith(f"no Accord runs in {tmp_path}")


def test_a_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.touch()
    result = CliRunner().invoke(app, ["up", "--port", "0", "--data", str(file)])
    assert result.exit_code == 2
    assert "Invalid value for '--data'" in result.stderr
