"""What the programs of the measured caller and callee share (docs/performance.md)."""

from pathlib import Path

from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.devnet.accounts import dev_accounts
from peerstream.node.config import load_network
from peerstream.node.lab.program import Options
from peerstream.node.library.identities import NewIdentity, make_identity
from peerstream.node.library.node import NodeSettings
from peerstream.node.ports import Environment
from peerstream.node.roles.identity import LocalIdentity
from peerstream.node.store.keystore import KeyFile, Keystore
from peerstream.node.store.state import StateDirectory


def settings_of(options: Options) -> NodeSettings:
    """Return what a node runs on. options: network_file, static_file, state, source_address."""
    return NodeSettings(
        network=load_network(Path(options["network_file"])),
        state=Path(options["state"]),
        static_file=Path(options["static_file"]),
        source_address=options["source_address"],
    )


def identity_of(
    options: Options, settings: NodeSettings, environment: Environment
) -> LocalIdentity:
    """Make the identity of a devnet account. options: account, its number."""
    account = dev_accounts()[options["account"]]
    wanted = NewIdentity(
        network_id=settings.network.network_id, account=account.address, listed=True
    )
    with StateDirectory.open(settings.state) as state:
        key = KeyFile(state.file("keystore.key"))
        key.make(environment.entropy)
        keystore = Keystore.create(state.file("keystore"), key, environment.entropy)
        return make_identity(keystore, wanted, LocalSigner(account.secret), environment)
