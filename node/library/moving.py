"""An identity in a file of its own: backup, restore, move to another machine (SPEC 22.5).

No device key travels: each machine has its own, so that two never serve as one, and a lost one is
revoked alone.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from peerstream.identity import canonical
from peerstream.identity.blinding import CONTACT_SECRET_SIZE
from peerstream.identity.delegation import DelegationChecks, SignedDelegation
from peerstream.identity.errors import (
    BadSignatureError,
    ChainRequiredError,
    EncodingError,
    IdentityError,
    WrongNetworkError,
)
from peerstream.identity.keys import KEY_SIZE, DeviceKeys, IdentityKey
from peerstream.node.library.identities import (
    ALL,
    CONTACT_SECRET,
    DELEGATION,
    DEVICE_KEYS,
    IDENTITY_KEY,
    MOVED,
    IdentityExistsError,
    NoIdentityError,
    load_identity,
    read_delegation,
)
from peerstream.node.ports import Environment
from peerstream.node.roles.identity import LocalIdentity
from peerstream.node.store.contacts import CONTACT_PREFIX, CONTACTS_MAX, Contacts, read_contact
from peerstream.node.store.errors import AliasError, CorruptedFileError, StateUnavailableError
from peerstream.node.store.keystore import Keystore, Passphrase

_DEVICE: Final = "backup/device"


@dataclass(frozen=True, slots=True)
class Backup:
    """What travels.

    contacts: cards as the keystore has them, by their names there. device: the public device key
    of the machine it comes from, or empty.
    """

    delegation: SignedDelegation
    identity_key: bytes = field(repr=False)
    contact_secret: bytes = field(repr=False)
    device: bytes = b""
    contacts: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, secrets: Mapping[str, bytes]) -> Self:
        """Read what a file holds, and check that its parts belong together.

        Raises NoIdentityError, EncodingError, KeyMaterialError, LifetimeError, AliasError,
        CorruptedFileError.
        """
        if DELEGATION not in secrets or IDENTITY_KEY not in secrets:
            raise NoIdentityError("the file holds no identity")
        found = cls(
            SignedDelegation.decode(secrets[DELEGATION]),
            secrets[IDENTITY_KEY],
            secrets.get(CONTACT_SECRET, b""),
            _public_device(secrets),
            {name: card for name, card in secrets.items() if name.startswith(CONTACT_PREFIX)},
        )
        for name, card in found.contacts.items():
            read_contact(name, card)
        if len(found.contact_secret) not in (0, CONTACT_SECRET_SIZE):
            raise EncodingError("the contact secret has another size")
        key = IdentityKey.from_bytes(found.identity_key)
        if key.public != found.delegation.delegation.identity_key:
            raise EncodingError("the identity key is not the one that the wallet signed for")
        return found

    def secrets(self) -> dict[str, bytes]:
        """Return what `of` reads."""
        contact = {CONTACT_SECRET: self.contact_secret} if self.contact_secret else {}
        return {
            **self.contacts,
            IDENTITY_KEY: self.identity_key,
            **contact,
            DELEGATION: self.delegation.encode(),
            _DEVICE: self.device,
        }

    def verify(self, network_id: bytes | None, wall: int) -> None:
        """Check the network and the wallet's signature; whether it still counts is not asked.

        A contract's signature needs a chain, which peers have. Raises WrongNetworkError,
        BadSignatureError.
        """
        signed = self.delegation
        if network_id not in (None, signed.network_id):
            raise WrongNetworkError("the identity was made for another network")
        terms = signed.delegation
        when = max(terms.not_before, min(wall, terms.not_after - 1))
        checks = DelegationChecks(
            network_id=signed.network_id, now=when, required_scope=terms.scope
        )
        try:
            signed.verify(checks)
        except ChainRequiredError:
            return


@dataclass(frozen=True, slots=True)
class Restored:
    """An identity that came back. old_device: what to revoke if that machine is lost, or empty."""

    identity: LocalIdentity
    old_device: bytes


def export_identity(
    keystore: Keystore, path: Path, passphrase: Passphrase, environment: Environment
) -> None:
    """Write a backup, encrypted, where there is no file yet.

    Raises NoIdentityError, IdentityMovedError, NotSignedError, ForeignStateError,
    StateUnavailableError.
    """
    _write(_backup_of(keystore), path, passphrase, environment)


def move_identity(
    keystore: Keystore, path: Path, passphrase: Passphrase, environment: Environment
) -> None:
    """Write the same, read it back, and erase the identity here. Raises as `export_identity`."""
    backup = _backup_of(keystore)
    _write(backup, path, passphrase, environment)
    again = Keystore.open(path, passphrase, environment.entropy, carried=True)
    for name, value in backup.secrets().items():
        if not hmac.compare_digest(again.get(name), value):
            raise StateUnavailableError(f"{path} does not hold what was written")
    account = backup.delegation.delegation.account
    mark = canonical.encode({1: account.raw, 2: backup.device, 3: environment.clock.wall()})
    keystore.change({MOVED: mark}, erase=(*ALL, *backup.contacts))


def restore_identity(
    keystore: Keystore,
    path: Path,
    passphrase: Passphrase,
    environment: Environment,
    network_id: bytes | None = None,
) -> Restored:
    """Take an identity from a backup, with fresh device keys. network_id: the one that is meant.

    Raises IdentityExistsError, NoIdentityError, WrongNetworkError, BadSignatureError, and as
    `Keystore.open`. DelegationEndedError: it is here, and wants to be renewed.
    """
    if DELEGATION in keystore:
        raise IdentityExistsError(f"{read_delegation(keystore).delegation.account}")
    source = Keystore.open(path, passphrase, environment.entropy, carried=True)
    try:
        backup = Backup.of({name: source.get(name) for name in source.names()})
        backup.verify(network_id, environment.clock.wall())
    except (WrongNetworkError, BadSignatureError):
        raise
    except (IdentityError, AliasError) as error:
        raise CorruptedFileError(f"{path}: {error}") from error
    device = DeviceKeys.generate(environment.entropy).secret().reveal()
    kept = {**backup.secrets(), DEVICE_KEYS: device}
    for name in (_DEVICE, *_known(keystore, backup)):
        del kept[name]
    keystore.change(kept, erase=(*ALL, MOVED))
    return Restored(load_identity(keystore, environment), backup.device)


def _backup_of(keystore: Keystore) -> Backup:
    read_delegation(keystore)
    return Backup.of(
        {
            name: keystore.get(name)
            for name in keystore.names()
            if name in ALL or name.startswith(CONTACT_PREFIX)
        }
    )


def _known(keystore: Keystore, backup: Backup) -> list[str]:
    """Return the contacts of a backup that are not taken: this machine has another word on them."""
    here = Contacts(keystore)
    room, left = CONTACTS_MAX - len(here), []
    for name, secret in sorted(backup.contacts.items()):
        alias, card = read_contact(name, secret)
        if alias in here or here.is_contact(card.account) or not room:
            left.append(name)
        else:
            room -= 1
    return left


def _public_device(secrets: Mapping[str, bytes]) -> bytes:
    if DEVICE_KEYS in secrets:  # of this keystore, or of a backup by older software
        return DeviceKeys.from_bytes(secrets[DEVICE_KEYS]).signing_public
    device = secrets.get(_DEVICE, b"")
    if len(device) not in (0, KEY_SIZE):
        raise EncodingError("a device key has 32 bytes")
    return device


def _write(backup: Backup, path: Path, passphrase: Passphrase, environment: Environment) -> None:
    target = Keystore.create(path, passphrase, environment.entropy)
    target.change(backup.secrets())
