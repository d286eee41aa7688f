"""The Postgres carrier keeps the carrier contract, and what only it can be asked."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from contract.carrier_contract import CarrierContract
from contract.worlds import PostgresWorld


class TestPostgresCarrier(CarrierContract):
    @pytest.fixture
    async def world(self, database_url: str, pool: Any) -> AsyncIterator[PostgresWorld]:
        world = await PostgresWorld.open(database_url, pool)
        yield world
        world.close()
