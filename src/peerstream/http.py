"""HTTP over PeerStream: a transport of httpx2 (SPEC 18.7)."""

from peerstream.node.library.api.http_transport import Transport

__all__ = ["Transport"]
