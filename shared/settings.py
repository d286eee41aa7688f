"""Settings that every process reads: `ACCORD_<NAME>` in the environment. Each service adds its own in its settings.py.

Only `main` modules and what composes them make one of these; everything below gets values as arguments.
"""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.db.connections import dsn
from shared.errors import InvalidDocument
from shared.telemetry.logging import LogFormat


def _web_address(value: str) -> str:
    if not _is_web_address(value):
        raise ValueError("must be an address like https://accord.example.com, without ? and #")
    return value


def _is_web_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        is_reachable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False
    return is_reachable and not any(sign in "?#" or sign.isspace() for sign in value)


WebAddress = Annotated[str, AfterValidator(_web_address)]


class Settings(BaseSettings):
    """The base of all settings classes: an unknown value is an error that names its variable, an empty one is unset."""

    model_config = SettingsConfigDict(env_prefix="ACCORD_", env_ignore_empty=True, extra="ignore", frozen=True)

    def __init__(self, **values: Any) -> None:
        """Raises InvalidDocument with the variables that are wrong, and what is allowed; never with a value."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            wrong = [self._words(found) for found in error.errors(include_input=False)]
            raise InvalidDocument("; ".join(wrong)) from None

    def _words(self, found: ErrorDetails) -> str:
        """What is wrong with one variable; a sentence about several names them itself."""
        words = found["msg"].removeprefix("Value error, ")
        name = "_".join(map(str, found["loc"])).upper()
        return f"{self.model_config['env_prefix']}{name}: {words}" if name else words


class ProcessSettings(Settings):
    """What any process of Accord needs. Without a database address `accord up` starts the embedded Postgres."""

    database_url: SecretStr | None = None
    secret_key: SecretStr | None = None
    postgres_bin: Path | None = None
    database_pool_size: int = Field(default=10, ge=2, le=100)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: LogFormat = "auto"

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(dsn(value.get_secret_value()))
