"""A secret that cannot be printed, compared by accident or pickled (SPEC 1.2)."""

import hmac
from typing import Any, Final, NoReturn, final


@final
class Secret:
    """Secret bytes; only ``reveal`` shows them, so that every place that looks can be found."""

    __slots__ = ("_value",)

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret would leak into dict order

    def __init__(self, value: bytes) -> None:
        self._value: Final = bytes(value)

    def reveal(self) -> bytes:
        """Give out the bytes: for key derivation and for the keystore, for nothing else."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        raise TypeError("a secret is never pickled; reveal it to the keystore")
