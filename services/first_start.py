"""What must stand in a database before anything runs on it: the schema, the topics, an accord, a key of role admin.

May be repeated at any time: what is there stays.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from services.api.main import bootstrap_accord
from services.carriers import make_log
from services.sealing import seal_anew
from shared.agreement.loading import default_accord_text
from shared.db.connections import connect
from shared.db.migrate import upgrade
from shared.http.auth import ensure_admin_key
from shared.secret_box import SecretBox
from shared.settings import ProcessSettings
from shared.text_file import text_of


class FirstStartSettings(ProcessSettings):
    """What is read beside what every process reads."""

    admin_key: SecretStr | None = None


@dataclass(frozen=True)
class Prepared:
    """What people must be told. `admin_key` was made now and is shown this once."""

    admin_key: str | None
    accord_version: int


def read_accord(file: Path | None) -> str | None:
    """The text of the agreement that a start was given, if it was given one."""
    return text_of(file) if file else None


async def prepare(
    database_url: str, text: str | None, preset_key: SecretStr | None, box: SecretBox | None = None
) -> Prepared:
    """Brings the database up to date. The accord given is the first one; without one it is the packaged one.

    Raises InvalidDocument if another accord is on file than the one given, WrongSecretKey if the secrets on file were
    sealed with another key. Without a `box` they are left alone.
    """
    connection = await connect(database_url, "accord-start")
    try:
        await upgrade(database_url)
        await make_log(connection)
        if box is not None:
            await seal_anew(connection, box)
        if text is None and await connection.fetchval("SELECT NOT EXISTS (SELECT FROM api.published_accords)"):
            text = default_accord_text()
        if text is not None:
            await bootstrap_accord(connection, text)
        version = await connection.fetchval("SELECT max(version) FROM api.published_accords")
        return Prepared(
            admin_key=await ensure_admin_key(connection, preset_key.get_secret_value() if preset_key else None),
            accord_version=version,
        )
    finally:
        await connection.close()
