"""The runner keeps its contract on the memory carrier."""

import pytest
from contract.runner_contract import RunnerContract
from contract.worlds import MemoryWorld, World


class TestRunnerOnMemory(RunnerContract):
    @pytest.fixture
    def world(self) -> World:
        return MemoryWorld()
