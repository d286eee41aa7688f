"""What `accord up` says when it can't start."""

import socket
from pathlib import Path

import pytest

from services.serving import CannotListen
from services.standalone import StandaloneSettings, Start, up
from shared.db.data_folder import FolderInUse, locked


def never(*started: object) -> None:
    raise AssertionError("it must not start")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"127\.0\.0\.1 port {port}.*--port"):
            up(Start(tmp_path, "127.0.0.1", port, None), StandaloneSettings(), never)


def test_a_data_folder_that_is_in_use_is_named(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(FolderInUse, match=str(tmp_path)):
        up(Start(tmp_path, "127.0.0.1", 0, None), StandaloneSettings(), never)
