"""The one suite that the runner passes on every carrier. A carrier's test file subclasses it and provides `world`."""

from contract.runner_failure_contract import RunnerFailureContract
from contract.runner_gap_contract import RunnerGapContract
from contract.runner_line_contract import RunnerLineContract
from contract.runner_owner_contract import RunnerOwnerContract


class RunnerContract(RunnerLineContract, RunnerGapContract, RunnerFailureContract, RunnerOwnerContract):
    """DESIGN.md "The step, exactly", as far as the runner and the lane publisher keep it."""
