"""Targets for chapter 22: files of keys that somebody else may have made."""

import json
from pathlib import Path

from eth_account import Account

from fuzz.target import Target, codec
from peerstream.identity import canonical
from peerstream.identity.contact import ContactCard
from peerstream.identity.errors import IdentityError
from peerstream.node.cli.errors import WalletFileError
from peerstream.node.cli.wallet_file import read_keystore
from peerstream.node.library.identities import NoIdentityError
from peerstream.node.library.moving import Backup
from peerstream.node.store import keystore_1, vault
from peerstream.node.store.errors import StoreError
from peerstream.node.store.keystore import read_secrets
from tests.identity.samples import IDENTITY, SIGNED, FixedEntropy
from tests.reference import slow_vault

PATH = Path("file")
CARD = str(ContactCard(SIGNED.delegation.account, IDENTITY.public, bytes(32))).encode()
BACKUP = Backup(SIGNED, IDENTITY.secret().reveal(), bytes(32), bytes(32), {"contact/ann": CARD})
SECRETS = canonical.encode([[name, value] for name, value in sorted(BACKUP.secrets().items())])
LOCKS = [(1, [64, 1, 1], b"correct horse"), (2, [], bytes(32)), (4, [], b"c" * 40)]
FORMAT_1 = b"PSPkeys1\x01" + bytes((0, 0, 0, 64, 0, 0, 0, 1, 1)) + bytes(200)
WALLETS = [
    json.dumps(Account.encrypt(bytes(31) + b"\x01", "right", kdf, 2)).encode()
    for kdf in ("pbkdf2", "scrypt")
]


def _vault(data: bytes) -> bytes:
    head, end = vault.parse(PATH, data)
    return head.encode() + data[end:]


def _backup(data: bytes) -> None:
    Backup.of(read_secrets(PATH, data)).verify(None, 1_800_000_000)


TARGETS: list[Target] = [
    codec("vault", _vault,
          [slow_vault.write(FixedEntropy(str(n)), LOCKS[: n + 1], {}) for n in range(3)],
          StoreError, encode=lambda data: data),
    codec("keystore-1", lambda data: keystore_1.read_header(PATH, data), [FORMAT_1], StoreError),
    codec("wallet-file", read_keystore, WALLETS, WalletFileError),
    codec("backup", _backup, [SECRETS], StoreError, IdentityError, NoIdentityError),
]  # fmt: skip
