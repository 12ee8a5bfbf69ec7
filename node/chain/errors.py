"""What can go wrong between us and a chain, each with what to do about it (SPEC 8)."""


class ChainError(Exception):
    """The chain could not be read or written; the subclass says why and what to do."""


class EndpointError(ChainError):
    """One JSON-RPC endpoint failed us; another one may do."""


class EndpointClosedError(EndpointError):
    """Nobody listens there, or the connection broke: check the URL, start the node."""


class EndpointTimeoutError(EndpointError):
    """It accepted the request and never answered: it is overloaded, or means to stall us."""


class EndpointBusyError(EndpointError):
    """It limits our rate or is failing for now (HTTP 429, 5xx): try later or use another."""


class MalformedAnswerError(EndpointError):
    """What came back is no JSON-RPC, is too large or of the wrong type: use another endpoint."""


class AnswerTooLargeError(MalformedAnswerError):
    """It sent more than we take at once: ask for fewer blocks."""


class BadProofError(EndpointError):
    """What it calls a proof does not prove what it says: use another endpoint."""


class EndpointRefusedError(EndpointError):
    """It answered with a JSON-RPC error: it lacks the method or the data, or limits the range.

    `code` is the number it gave, or 0.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class WrongChainError(ChainError):
    """The endpoint is of another chain or fork than the network file names: correct one of them."""


class WrongContractError(ChainError):
    """At that address is no contract of ours, or one of another network: check the network file."""


class EndpointsDisagreeError(ChainError):
    """Two endpoints tell different things of one block: one of them lies or is on a dead fork.

    Nothing of it was used. Remove the endpoint that you trust less, or wait for finality.
    """


class StaleEndpointError(ChainError):
    """The final block is too old: the endpoint is cut off, or it hides what came since.

    Nothing of it was used; wait, or use another endpoint.
    """


class FutureBlockError(ChainError):
    """The final block is ahead of our clock: set the clock, or distrust the endpoints."""


class RegistryRootError(ChainError):
    """The events do not add up to the root that the contract holds: some were left out or forged.

    Nothing of it was used; read from another endpoint.
    """


class TooFewEndpointsError(ChainError):
    """Fewer endpoints answered than must agree: `reasons` tells what each said."""

    def __init__(self, message: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__("; ".join((message, *reasons)))
        self.reasons = reasons


class TransactionError(ChainError):
    """A transaction of ours did not come through; the subclass says why."""


class TransactionRevertedError(TransactionError):
    """The contract refused it. `name` is the contract's own error, where it gave one."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(f"{name}{': ' if detail else ''}{detail}")
        self.name = name


class StaleSiblingsError(TransactionRevertedError):
    """Another change of the relay set came first: read the registry again and repeat."""


class StakeTooLowError(TransactionRevertedError):
    """The stake is below the least one of the network: send more."""


class StakeLockedError(TransactionRevertedError):
    """The stake is still held: exit first, and withdraw from the named unix second on."""


class AlreadyRegisteredError(TransactionRevertedError):
    """The operator has registered this relay: renew it, or withdraw its stake before it returns."""


class RelaySlashedError(TransactionRevertedError):
    """The relay was slashed, and never returns under this operator: give it new keys."""


class RevocationTimeError(TransactionRevertedError):
    """A revocation only moves forward and never past the present: take a later time, or now."""


class RequestExpiredError(TransactionRevertedError):
    """The signed request was posted after its deadline: have the account sign a new one."""


class RequestUsedError(TransactionRevertedError):
    """The signed request was posted before, by somebody: there is nothing more to do."""


class NoEquivocationError(TransactionRevertedError):
    """The two statements prove nothing against the relay: they are equal, or another key's."""


class NoFundsError(TransactionError):
    """The account cannot pay for the stake and the gas: fund it first."""


class NonceError(TransactionError):
    """The account's next nonce is another: something else uses the same key. Read it again."""


class FeeTooLowError(TransactionError):
    """The endpoint takes this transaction only at a higher fee: raise it."""


class WrongKeyError(TransactionRevertedError):
    """The key is not the one this needs: another account signed, or the relay is another's."""


class NotMinedError(TransactionError):
    """The transaction was in no block in time: the fee is too low, or the chain stands still."""


class WalletFileError(ChainError):
    """The wallet file cannot be opened: it is missing, none, or the passphrase is wrong."""


class RequestFileError(ChainError):
    """The file with a signed request cannot be used: damaged, or for another network. Sign anew."""


class EvidenceFileError(ChainError):
    """The file proves nothing against a relay: it is damaged, or of another network."""


class DeploymentFileError(ChainError):
    """The deployment record cannot be read: it is of another version, or damaged. Deploy again."""
