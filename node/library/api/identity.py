"""An identity in a state directory, made by a wallet that is at hand (SPEC 18.1)."""

import os
from pathlib import Path
from typing import Final

from peerstream.identity.signer import Signer
from peerstream.node.config import NetworkParameters, load_network
from peerstream.node.library.api.errors import FAMILIES, public
from peerstream.node.library.api.places import state_path
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.identities import NewIdentity, make_identity
from peerstream.node.ports import Environment
from peerstream.node.store.keystore import KeyFile, Keystore, Passphrase, Unlock
from peerstream.node.store.state import StateDirectory

KEYSTORE: Final = "keystore"
KEY_FILE: Final = "keystore.key"
DAY: Final = 86_400


def create_identity(
    wallet: Signer,
    network: NetworkParameters | Path | str,
    state: Path | str | None = None,
    *,
    listed: bool = False,
    days: int = 90,
    passphrase: str | None = None,
) -> str:
    """Make an identity whose wallet signs its one delegation here and now; return its contact card.

    wallet: signs EIP-712, as `peerstream.identity.signer.LocalSigner` does; it is not kept. Wallets
    elsewhere sign by `psp id new --sign-with external`. listed: whoever knows the address may dial,
    else only holders of the card. days: at most 90. passphrase: for the keystore, None for a key
    file beside it. Raises StateError, IdentityNeededError where there is one already,
    BadRequestError.
    """
    path = state_path(state)
    environment = Environment(SystemClock(), os.urandom)
    try:
        parameters = (
            network if isinstance(network, NetworkParameters) else load_network(Path(network))
        )
        wanted = NewIdentity(
            network_id=parameters.network_id,
            account=wallet.address,
            listed=listed,
            life=days * DAY,
        )
        with StateDirectory.open(path) as directory:
            file = directory.file(KEYSTORE)
            unlock = _unlock(path, passphrase)
            opened = Keystore.open if file.exists() else Keystore.create
            keystore = opened(file, unlock, os.urandom)
            return str(make_identity(keystore, wanted, wallet, environment).card)
    except FAMILIES as error:
        raise public(error) from error


def _unlock(path: Path, passphrase: str | None) -> Unlock:
    if passphrase is not None:
        return Passphrase(passphrase)
    unlock = KeyFile(path / KEY_FILE)
    if not unlock.path.exists():
        unlock.make(os.urandom)
    return unlock
