"""PeerStream for threads: a Node, a Client and streams that block (SPEC 18.6)."""

from peerstream.node.library.api.blocking import (
    BlockingListener,
    BlockingStream,
    Client,
    Node,
)

__all__ = ["BlockingListener", "BlockingStream", "Client", "Node"]
