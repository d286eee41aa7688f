"""Settings come from the environment, and a wrong one says which it is."""

import pytest

from services.api.settings import ApiSettings
from services.delivery.settings import Settings as DeliverySettings
from services.ingest.settings import IngestSettings
from services.process import ApartSettings
from services.sla_monitor.settings import Settings as ClockSettings
from services.standalone import StandaloneSettings
from shared.errors import InvalidDocument
from shared.http.tokens import OidcSettings
from shared.settings import ProcessSettings, Settings


def test_an_address_is_read_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_DATABASE_URL", "postgres://accord:hush@host/db")
    settings = ProcessSettings()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://accord:hush@host/db"
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("settings", "variable", "value", "allowed"),
    [
        (ProcessSettings, "ACCORD_LOG_LEVEL", "loud", "'debug', 'info'"),
        (ProcessSettings, "ACCORD_DATABASE_URL", "sesame://", "begins with postgresql://"),
        (DeliverySettings, "ACCORD_DELIVERY_TIMEOUT_SECONDS", "-7", "greater than 0"),
        (ApiSettings, "ACCORD_API_BODY_BYTES_MAX", "big", "integer"),
        (IngestSettings, "ACCORD_INGEST_SEEN_DAYS", "ever", "integer"),
        (ClockSettings, "ACCORD_SWEEP_CLOCKS_MAX", "0", "greater than or equal to 1"),
        (OidcSettings, "ACCORD_OIDC_ISSUER", "issuer.example", "https?:"),
        (StandaloneSettings, "ACCORD_PUBLIC_URL", "crm.acme.example", "an address like https://"),
        (ApartSettings, "ACCORD_PUBLIC_URL", "https://crm.acme.example:eighty", "an address like https://"),
        (ApartSettings, "ACCORD_PUBLIC_URL", "https://crm.acme.example/?a=b", "without ? and #"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, settings: type[Settings], variable: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidDocument) as refused:
        settings()
    assert str(refused.value).startswith(f"{variable}: ")
    assert allowed in str(refused.value)
    assert value not in str(refused.value)


def test_what_is_wrong_between_variables_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_OIDC_ISSUER", "https://issuer.example")
    with pytest.raises(InvalidDocument, match="ACCORD_OIDC_ISSUER and ACCORD_OIDC_AUDIENCE are set together"):
        OidcSettings()


@pytest.mark.parametrize("settings", [ProcessSettings, ClockSettings, DeliverySettings, ApiSettings, IngestSettings])
def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch, settings: type[Settings]) -> None:
    prefix = settings.model_config["env_prefix"]
    for field in settings.model_fields:
        monkeypatch.setenv(f"{prefix}{field.upper()}", "")
    emptied = settings()
    assert emptied.model_fields_set == set()
