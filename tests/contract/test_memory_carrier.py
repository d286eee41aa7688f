"""The memory carrier keeps the carrier contract."""

import pytest
from contract.carrier_contract import CarrierContract
from contract.worlds import MemoryWorld, World


class TestMemoryCarrier(CarrierContract):
    @pytest.fixture
    def world(self) -> World:
        return MemoryWorld()
