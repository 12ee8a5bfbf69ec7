"""The creation code that asks a contract which does not exist yet (SPEC 1.6, ERC-6492).

``eth_call`` without a target runs creation code and returns what it returns. Ours calls the
factory, asks the account ``isValidSignature``, and returns the answer of 32 bytes, or nothing when
the account has no code, reverts or answers less. It is assembled here, sixty bytes that can be
read, where the standard's reference would be four thousand that a compiler made.
"""

from typing import Final

from peerstream.identity.address import Address

_MUL, _LT, _AND, _CODECOPY = b"\x02", b"\x10", b"\x16", b"\x39"
_RETURNDATASIZE, _POP, _GAS = b"\x3d", b"\x50", b"\x5a"
_CALL, _RETURN, _STATICCALL = b"\xf1", b"\xf3", b"\xfa"
_OFFSET_SIZE: Final = 3  # data stays below 16 MB


def creation_code(
    factory: Address, factory_call: bytes, account: Address, question: bytes
) -> bytes:
    """Assemble the program with its two call data behind it."""
    size = len(_program(0, factory, b"", account, b""))
    return _program(size, factory, factory_call, account, question) + factory_call + question


def _program(
    start: int, factory: Address, factory_call: bytes, account: Address, question: bytes
) -> bytes:
    call_size, question_size = _offset(len(factory_call)), _offset(len(question))
    zero = _push(b"\0")
    return b"".join((
        # The factory's call; whether it succeeds is not asked, the account's answer decides.
        call_size, _offset(start), zero, _CODECOPY,
        zero, zero, call_size, zero, zero, _push(factory.raw), _GAS, _CALL, _POP,
        # The account's answer goes to the first 32 bytes of memory, its success on the stack.
        question_size, _offset(start + len(factory_call)), zero, _CODECOPY,
        _push(b"\x20"), zero, question_size, zero, _push(account.raw), _GAS, _STATICCALL,
        # The 32 bytes are returned when the call succeeded and gave more than 31, else nothing.
        _RETURNDATASIZE, _push(b"\x1f"), _LT, _AND, _push(b"\x20"), _MUL, zero, _RETURN,
    ))  # fmt: skip


def _push(value: bytes) -> bytes:
    return bytes([0x5F + len(value)]) + value


def _offset(value: int) -> bytes:
    return _push(value.to_bytes(_OFFSET_SIZE))
