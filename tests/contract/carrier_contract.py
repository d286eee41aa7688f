"""The one suite that every carrier passes unchanged. A carrier's test file subclasses it and provides `world`."""

from contract.keeping_contract import KeepingContract
from contract.log_contract import LogContract
from contract.ownership_contract import OwnershipContract


class CarrierContract(OwnershipContract, LogContract, KeepingContract):
    """DESIGN.md "The step, exactly", as far as a carrier keeps it."""
