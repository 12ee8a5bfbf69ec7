"""Sign-In with Ethereum (EIP-4361): parse, write and verify; no I/O, no clock (SPEC 20)."""

from peerstream.identity.siwe.errors import SiweError
from peerstream.identity.siwe.message import MESSAGE_MAXIMUM, SiweMessage, parse
from peerstream.identity.siwe.recap import Recap, read_recap
from peerstream.identity.siwe.timestamps import read_time, write_time
from peerstream.identity.siwe.verification import read_signature, verify

__all__ = [
    "MESSAGE_MAXIMUM",
    "Recap",
    "SiweError",
    "SiweMessage",
    "parse",
    "read_recap",
    "read_signature",
    "read_time",
    "verify",
    "write_time",
]
