"""The keys of a relay in its state directory (SPEC 10.4)."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import coincurve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.identity.address import Address
from peerstream.node.protocol.directory.relay_set import prove_possession
from peerstream.node.store.keystore import Keystore, Unlock
from peerstream.node.store.state import StateDirectory

KEYSTORE: Final = "keystore"
_HOST_SEED: Final = "relay/host-seed"
_STATEMENT_KEY: Final = "relay/statement-key"
_V_OFFSET: Final = 27


@dataclass(frozen=True, slots=True)
class RelayIdentity:
    """A relay's two long-lived keys, 32 secret bytes each: Ed25519 host, secp256k1 statement."""

    host_seed: bytes = field(repr=False)
    statement_secret: bytes = field(repr=False)

    @property
    def host_key(self) -> Ed25519PrivateKey:
        """The key that signs as this relay."""
        return Ed25519PrivateKey.from_private_bytes(self.host_seed)

    @property
    def relay_id(self) -> bytes:
        """The host key's public part, 32 bytes."""
        return self.host_key.public_key().public_bytes_raw()

    @property
    def sign_key(self) -> Address:
        """The account of the statement key, to register as the relay's sign_key."""
        public = coincurve.PublicKey.from_secret(self.statement_secret)
        return Address.of_public_key(public.format(compressed=False)[1:])

    def prove(self, network_id: bytes, operator: Address) -> bytes:
        """Return the proof, 64 bytes, that this relay belongs to an operator in a network."""
        return prove_possession(self.host_key, network_id, operator.raw, self.relay_id)

    def sign_statement(self, digest: bytes) -> bytes:
        """Sign 32 bytes by the statement key: r, s, v of 65 bytes, v 27 or 28."""
        # not by eth-account, which would cost a relay 21 MB
        key = coincurve.PrivateKey(self.statement_secret)
        signature: bytes = key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((signature[64] + _V_OFFSET,))


def init_relay(state: Path, unlock: Unlock) -> RelayIdentity:
    """Make the keys of a new relay in an empty or new state directory.

    A KeyFile must have been made before. Raises ForeignStateError when there is a keystore, and
    other StoreErrors.
    """
    with StateDirectory.open(state) as directory:
        keystore = Keystore.create(directory.file(KEYSTORE), unlock, os.urandom)
        secret = coincurve.PrivateKey().secret
        keystore.put(_HOST_SEED, os.urandom(32))
        keystore.put(_STATEMENT_KEY, secret)
        return read_identity(keystore)


def read_identity(keystore: Keystore) -> RelayIdentity:
    """Return the keys in an open keystore. Raises UnknownSecretError: it is no relay's."""
    return RelayIdentity(keystore.get(_HOST_SEED), keystore.get(_STATEMENT_KEY))


def open_keystore(directory: StateDirectory, unlock: Unlock) -> Keystore:
    """Open the keystore of a state directory. Raises StoreError, as a subclass."""
    return Keystore.open(directory.file(KEYSTORE), unlock, os.urandom)
