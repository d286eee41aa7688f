"""A file that is no text is refused in a sentence that names it, by every command that takes one."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from shared.errors import InvalidDocument

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


def test_a_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.touch()
    result = CliRunner().invoke(app, ["up", "--port", "0", "--data", str(file)])
    assert result.exit_code == 2
    assert "Invalid value for '--data'" in result.stderr
