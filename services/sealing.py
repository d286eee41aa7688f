"""What the secrets in this database are sealed with: checked at every start, and sealed anew after a change of keys."""

from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from shared.db.connections import connect
from shared.secret_box import SecretBox, key_beside

KEY_FILE: Final = "secret-key"
_KNOWN: Final = "Accord"

_KEEP_CHECK: Final = "INSERT INTO api.sealed_check (sealed) VALUES ($1) ON CONFLICT (is_only) DO NOTHING"
_CHECK: Final = "SELECT sealed FROM api.sealed_check"
_RENEW_CHECK: Final = "UPDATE api.sealed_check SET sealed = $1"
# Where sealed texts lie: what lists them (id, text) and locks them, and what writes one.
_PLACES: Final[tuple[tuple[str, str], ...]] = (
    (
        "SELECT subscription_id, secret FROM api.subscriptions FOR UPDATE",
        "UPDATE api.subscriptions SET secret = $2 WHERE subscription_id = $1",
    ),
    (
        "SELECT source_id, secret FROM api.sources WHERE deleted_at IS NULL FOR UPDATE",
        "UPDATE api.sources SET secret = $2 WHERE source_id = $1",
    ),
)


def box_of(preset: SecretStr | None, folder: Path | None = None) -> SecretBox | None:
    """The box with the keys that were set; else with the key in this data folder, made now if it has none.

    Raises InvalidDocument."""
    if preset is not None:
        return SecretBox(preset.get_secret_value())
    return SecretBox(key_beside(folder / KEY_FILE)) if folder is not None else None


async def check_key(connection: Any, box: SecretBox) -> None:
    """Raises WrongSecretKey unless the box opens what lies in this database. The first one to ask decides."""
    await connection.execute(_KEEP_CHECK, box.seal(_KNOWN))
    box.open(await connection.fetchval(_CHECK))


async def check_key_of(database_url: str, box: SecretBox) -> None:
    """`check_key` on a connection of its own."""
    connection = await connect(database_url, "accord-start")
    try:
        await check_key(connection, box)
    finally:
        await connection.close()


async def seal_anew(connection: Any, box: SecretBox) -> None:
    """Everything under the first key. Raises WrongSecretKey, and then nothing has changed."""
    await check_key(connection, box)
    async with connection.transaction():
        for listed, renewed in _PLACES:
            for row_id, stored in await connection.fetch(listed):
                if (sealed := box.sealed_anew(stored)) is not None:
                    await connection.execute(renewed, row_id, sealed)
        await connection.execute(_RENEW_CHECK, box.seal(_KNOWN))
