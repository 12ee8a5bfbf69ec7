"""The descriptor: the signed, encrypted way to reach an address (SPEC 2)."""

from peerstream.identity.descriptor.contents import (
    DescriptorContents,
    HandshakeKey,
    IntroductionPoint,
    PuzzleOffer,
)
from peerstream.identity.descriptor.record import (
    DescriptorKey,
    Record,
    RecordRules,
    VerifiedRecord,
)
from peerstream.identity.descriptor.sealing import Audience, open_descriptor, seal_descriptor

__all__ = [
    "Audience",
    "DescriptorContents",
    "DescriptorKey",
    "HandshakeKey",
    "IntroductionPoint",
    "PuzzleOffer",
    "Record",
    "RecordRules",
    "VerifiedRecord",
    "open_descriptor",
    "seal_descriptor",
]
