"""Settings of delivery, from ACCORD_DELIVERY_* environment variables."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from services.delivery.model.targets import Network, parse_networks
from shared.settings import Settings as AccordSettings


class Settings(AccordSettings):
    """`allowed_networks`: CIDRs, comma-separated, that may be called though they are not public."""

    model_config = SettingsConfigDict(env_prefix="ACCORD_DELIVERY_")

    allowed_networks: str = ""
    timeout_seconds: float = Field(default=15.0, gt=0, le=60)
    connect_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    in_flight_per_subscription: int = Field(default=64, ge=1, le=1000)
    in_flight: int = Field(default=512, ge=1, le=10_000)
    lease_margin_seconds: float = Field(default=15.0, gt=0)
    pending_interval_seconds: float = Field(default=10.0, gt=0)
    retention_days: int = Field(default=30, ge=1, le=3650)
    smtp_host: str | None = None
    smtp_port: int = Field(default=587, ge=1, le=65_535)
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_from: str = "accord@localhost"

    @field_validator("allowed_networks")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        parse_networks(text)
        return text

    @property
    def networks(self) -> tuple[Network, ...]:
        return parse_networks(self.allowed_networks)
