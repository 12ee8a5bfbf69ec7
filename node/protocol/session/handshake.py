"""The handshake PSP-E2E-1, both sides, in one place to import from (SPEC 5.2)."""

from peerstream.node.protocol.session.admission import CalleePolicy, ServicePolicy, Views, admit
from peerstream.node.protocol.session.callee import (
    Answer,
    HandshakeKey,
    OpenedCall,
    open_message1,
)
from peerstream.node.protocol.session.caller import (
    CallAccepted,
    CallerHandshake,
    CallerIdentity,
    ResumeSession,
)
from peerstream.node.protocol.session.messages import CallAnswer, CallRequest
from peerstream.node.protocol.session.transcript import Callee

__all__ = [
    "Answer",
    "CallAccepted",
    "CallAnswer",
    "CallRequest",
    "Callee",
    "CalleePolicy",
    "CallerHandshake",
    "CallerIdentity",
    "HandshakeKey",
    "OpenedCall",
    "ResumeSession",
    "ServicePolicy",
    "Views",
    "admit",
    "open_message1",
]
