"""Settings come from the environment, and a wrong one says which it is."""

import pytest
from pydantic import ValidationError

from shared.settings import ProcessSettings


def test_an_address_is_read_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_DATABASE_URL", "postgres://accord:hush@host/db")
    settings = ProcessSettings()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://accord:hush@host/db"
    assert "hush" not in repr(settings)


def test_a_wrong_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_LOG_LEVEL", "loud")
    with pytest.raises(ValidationError, match="log_level"):
        ProcessSettings()


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_DATABASE_URL", "")
    assert ProcessSettings().database_url is None
