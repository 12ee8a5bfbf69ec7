"""Running a transaction on the embedded chain without mining it (SPEC 8.7)."""

from dataclasses import dataclass, replace
from typing import Any, Final

from eth.exceptions import OutOfGas, Revert
from eth.vm.spoof import SpoofTransaction
from eth_utils.exceptions import ValidationError

from peerstream.node.chain.devnet.errors import CallFailedError
from peerstream.node.chain.devnet.ledger import CHAIN_ID, GAS_LIMIT, Ledger, MinedBlock

_TOLERANCE: Final = 32  # one part in so many above the least is not worth another run
_STIPEND: Final = 2_300
_MINIMUM: Final = 21_000
_PER_TOKEN: Final = 10
_NO_OUTPUT: Final = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """What eth_call and eth_estimateGas take; accounts 20 bytes, `to` empty for a creation.

    timestamp: unix seconds that the code sees.
    """

    sender: bytes = bytes(20)
    to: bytes = b""
    data: bytes = b""
    value: int = 0
    gas: int = GAS_LIMIT
    timestamp: int


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
    intrinsic = request.gas - int(computation.msg.gas)
    used = max(_floor(request.data), intrinsic + int(computation.get_gas_used()))
    low, high = used - 1, request.gas
    # What it used is most often enough; a call within it keeps back one part in 64.
    for guess in (used, used * 64 // 63 + _STIPEND):
        if guess < high and _succeeds(ledger, replace(request, gas=guess), block):
            high = guess
            break
        low = guess
    while high - low > high // _TOLERANCE:
        middle = (low + high) // 2
        if _succeeds(ledger, replace(request, gas=middle), block):
            high = middle
        else:
            low = middle
    return high


def _floor(data: bytes) -> int:
    # EIP-7623: py-evm charges it, and does not refuse less.
    return _MINIMUM + _PER_TOKEN * (data.count(0) + 4 * (len(data) - data.count(0)))


def _succeeds(ledger: Ledger, request: CallRequest, block: MinedBlock) -> bool:
    try:
        return not _run(ledger, request, block).is_error
    except CallFailedError:
        return False


def _run(ledger: Ledger, request: CallRequest, block: MinedBlock) -> Any:
    state = ledger.free_state(block, request.timestamp)
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
