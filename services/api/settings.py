"""What can be set about the api."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import Settings


class ApiSettings(Settings):
    """Environment `ACCORD_API_*`."""

    model_config = SettingsConfigDict(env_prefix="ACCORD_API_")

    wait_seconds_max: float = Field(default=30.0, gt=0, le=300)
    waiters_max: int = Field(default=200, gt=0)
    body_bytes_max: int = Field(default=1_048_576, gt=0)
    depth_max: int = Field(default=64, gt=0)
    idempotency_hours: int = Field(default=24, gt=0)
