"""Running a transaction on the embedded chain without mining it (SPEC 8.6)."""

from dataclasses import dataclass, replace
from typing import Any, Final

from eth.exceptions import OutOfGas, Revert
from eth.vm.spoof import SpoofTransaction
from eth_utils import ValidationError

from peerstream.node.chain.devnet.errors import CallFailedError
from peerstream.node.chain.devnet.ledger import CHAIN_ID, GAS_LIMIT, Ledger, MinedBlock

_GAS_TOLERANCE: Final = 64  # an estimate this close to the least is not worth another run
_NO_OUTPUT: Final = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """What eth_call and eth_estimateGas take; accounts 20 bytes, `to` empty for a creation."""

    sender: bytes = bytes(20)
    to: bytes = b""
    data: bytes = b""
    value: int = 0
    gas: int = GAS_LIMIT


def call(ledger: Ledger, request: CallRequest, block: MinedBlock) -> bytes:
    """Return what the code returns on the state after a block. Raises CallFailedError."""
    computation = _run(ledger, request, block)
    if computation.is_error:
        raise _failure(computation)
    return bytes(computation.output)


def estimate(ledger: Ledger, request: CallRequest, block: MinedBlock) -> int:
    """Return gas with which the transaction succeeds. Raises CallFailedError."""
    computation = _run(ledger, request, block)
    if computation.is_error:
        raise _failure(computation)
    low, high = 21_000 - 1, request.gas
    while high - low > _GAS_TOLERANCE:
        middle = min((low + high) // 2, 2 * low)
        if _succeeds(ledger, replace(request, gas=middle), block):
            high = middle
        else:
            low = middle
    return high


def _succeeds(ledger: Ledger, request: CallRequest, block: MinedBlock) -> bool:
    try:
        return not _run(ledger, request, block).is_error
    except CallFailedError:
        return False


def _run(ledger: Ledger, request: CallRequest, block: MinedBlock) -> Any:
    state = ledger.free_state(block)
    unsigned = ledger.builder().new_unsigned_dynamic_fee_transaction(
        chain_id=CHAIN_ID,
        nonce=state.get_nonce(request.sender),
        max_priority_fee_per_gas=0,
        max_fee_per_gas=0,
        gas=request.gas,
        to=request.to,
        value=request.value,
        data=request.data,
        access_list=(),
    )
    try:
        return state.apply_transaction(SpoofTransaction(unsigned, from_=request.sender))
    except ValidationError as error:
        raise CallFailedError(str(error)[:200], _NO_OUTPUT) from error


def _failure(computation: Any) -> CallFailedError:
    error = computation.error
    if isinstance(error, Revert):
        return CallFailedError("execution reverted", bytes(computation.output))
    if isinstance(error, OutOfGas):
        return CallFailedError("out of gas", _NO_OUTPUT)
    return CallFailedError(type(error).__name__, _NO_OUTPUT)
