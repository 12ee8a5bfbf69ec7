"""What a daemon keeps under lock: its identity and its contacts (SPEC 17.3)."""

import os
from collections.abc import Callable

from peerstream.node.library.identities import NoIdentityError, load_identity
from peerstream.node.library.relay_identity import KEYSTORE
from peerstream.node.ports import Environment
from peerstream.node.roles.identity import LocalIdentity
from peerstream.node.store.contacts import Contacts
from peerstream.node.store.keystore import Keystore, Unlock
from peerstream.node.store.state import StateDirectory


class Secrets:
    """The keystore of an open state directory, which may have none.

    unlock: asked at once, if there is one. Raises StoreError.
    """

    def __init__(
        self, state: StateDirectory, unlock: Callable[[], Unlock], environment: Environment
    ) -> None:
        self._environment = environment
        self.keystore: Keystore | None = None
        self.contacts: Contacts | None = None
        path = state.file(KEYSTORE)
        if path.exists():
            self.keystore = Keystore.open(path, unlock(), os.urandom)
            self.contacts = Contacts(self.keystore)

    def identity(self, network_id: bytes) -> LocalIdentity | None:
        """Return the identity for a network, None where there is none.

        Raises NotSignedError, DelegationEndedError, WrongNetworkError, CorruptedFileError.
        """
        if self.keystore is None:
            return None
        try:
            return load_identity(self.keystore, self._environment, network_id)
        except NoIdentityError:
            return None
