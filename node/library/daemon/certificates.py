"""Keeps the device certificate of a running node good (SPEC 17.1)."""

from typing import Final

import structlog
import trio

from peerstream.node.library.identities import IdentityStateError, load_identity
from peerstream.node.library.node import Node
from peerstream.node.ports import Environment, StorageError
from peerstream.node.store.keystore import Keystore

LOOK_S: Final = 86_400.0
AGAIN_S: Final = 600.0

_log = structlog.get_logger("peerstream.daemon")


async def keep_certified(node: Node, keystore: Keystore, environment: Environment) -> None:
    """Renew the certificate of the node's identity when it is due, until the delegation ends."""
    pause = LOOK_S
    while node.identity is not None:
        await trio.sleep(pause)
        pause = LOOK_S
        try:
            renewed = load_identity(keystore, environment)
        except IdentityStateError:
            _log.error("identity.ended")  # the wallet must sign again, and the node start anew
            return
        except StorageError as error:
            _log.error("identity.not_kept", error=type(error).__name__)
            pause = AGAIN_S
            continue
        if renewed.chain != node.identity.chain:
            node.renew(renewed)
            _log.info("identity.certified")
