"""What can go wrong inside a devnet (SPEC 8.7). None of these leaves it but as JSON-RPC."""


class DevnetError(Exception):
    """The devnet cannot do what was asked."""


class BlockNotFoundError(DevnetError):
    """The chain has no such block yet: ask for an earlier one."""


class SnapshotNotFoundError(DevnetError):
    """The snapshot was never taken, was reverted past, or is too old: take another."""


class TransactionRefusedError(DevnetError):
    """The transaction can be in no block: wrong nonce, chain, signature, balance or gas."""


class CallFailedError(DevnetError):
    """The call reverted or ran out of gas; `output` is what the contract gave as its reason."""

    def __init__(self, message: str, output: bytes) -> None:
        super().__init__(message)
        self.output = output


class BadParametersError(DevnetError):
    """The parameters of the request are not what the method takes: see the Ethereum JSON-RPC."""


class MethodNotFoundError(DevnetError):
    """The embedded chain has no such method: use anvil or Hardhat for it."""


class StateFileError(DevnetError):
    """The state file is damaged or of another version: delete it to start a new chain."""


class BackendMissingError(DevnetError):
    """The program of that backend is not installed: install it, or use `embedded`."""


class DevnetStartError(DevnetError):
    """The devnet ended or hung before it was ready; the message holds what it last said."""


class BackendEndedError(DevnetError):
    """The program under the devnet ended by itself: somebody killed it, or it crashed."""
