"""What signs for an account: the port a wallet implements, and a key in memory (SPEC 1.5)."""

from typing import Any, Protocol, final

import coincurve

from peerstream.identity.address import Address
from peerstream.identity.errors import KeyMaterialError
from peerstream.identity.keys import IdentityKey
from peerstream.identity.secret import Secret

TypedData = dict[str, Any]


class Signer(Protocol):
    """An account that signs EIP-712 typed data: a wallet, a remote signer, a key in memory."""

    @property
    def address(self) -> Address:
        """The account."""

    def sign_typed_data(self, typed: TypedData) -> bytes:
        """Sign the JSON form of EIP-712 (types, primaryType, domain, message).

        65 bytes r, s, v for a plain account; whatever its contract accepts for another.
        """


@final
class LocalSigner:
    """A plain account whose secret key this process holds: servers, bots, tests."""

    __slots__ = ("_secret", "address")

    def __init__(self, secret: bytes) -> None:
        """Load 32 secret bytes; raises KeyMaterialError when they are no secp256k1 secret."""
        point = coincurve.PublicKey.from_secret(IdentityKey.from_bytes(secret).secret().reveal())
        self._secret = Secret(secret)
        self.address = Address.of_public_key(point.format(compressed=False)[1:])

    def sign_typed_data(self, typed: TypedData) -> bytes:
        """Sign typed data: 65 bytes r, s, v, with v 27 or 28 and low s."""
        # eth-account is megabytes of modules: only a process that signs loads it
        from eth_account import Account  # noqa: PLC0415
        from eth_account.messages import encode_typed_data  # noqa: PLC0415

        try:
            message = encode_typed_data(full_message=typed)
        except (ValueError, TypeError, KeyError) as error:
            raise KeyMaterialError("the typed data does not follow EIP-712") from error
        return bytes(Account.sign_message(message, self._secret.reveal()).signature)

    def __repr__(self) -> str:
        return f"<local signer {self.address}>"
