"""Questions and answers of the directory, which say the same whoever asks (SPEC 15.4)."""

from dataclasses import dataclass

from peerstream.node.lab.audit.framing import skip_negotiation
from peerstream.node.protocol.directory.address_record import SignedAddressRecord
from peerstream.node.protocol.directory.bundle import (
    Fetch,
    Page,
    Publish,
    decode_request,
    fingerprint,
    fingerprints,
)
from peerstream.node.protocol.directory.errors import MalformedDocumentError
from peerstream.node.protocol.directory.relay_descriptor import SignedRelayDescriptor
from peerstream.node.roles.fetching import unframed

_DIRECTORY = b"/psp/dir/1.0.0"  # of questions (SPEC 9.7)


@dataclass(frozen=True, slots=True)
class Pages:
    """What one direction of a stream has to do with pages of the directory.

    named: fingerprints of what the asker said it has; told: of what relays say of themselves.
    rest: the bytes without either.
    """

    named: frozenset[bytes]
    told: frozenset[bytes]
    rest: bytes


def pages_of(stream: bytes) -> Pages:
    """Read a question for a page, or a page and no more; of anything else all is `rest`.

    While descriptors of the next epoch appear, few processes have one of them, and two clients
    that ask one relay get the same, or name the same (6.3, 6.13).
    """
    start, names = skip_negotiation(stream)
    if _DIRECTORY in names:
        try:
            body = unframed(stream[start:])
            return _question(body, stream) or _answer(body)
        except MalformedDocumentError:
            pass  # not of a page
    return Pages(frozenset(), frozenset(), stream)


def _question(body: bytes, stream: bytes) -> Pages | None:
    """Read what is asked; of what a relay publishes of itself, too."""
    try:
        asked = decode_request(body)
    except MalformedDocumentError:
        return None
    match asked:
        case Fetch():
            return Pages(frozenset(fingerprints(asked.known)), frozenset(), asked.after)
        case Publish():
            told = frozenset(map(fingerprint, (asked.descriptor, asked.addresses)))
            return Pages(frozenset(), told, stream)
    return None


def _answer(body: bytes) -> Pages:
    """Read a page. Raises MalformedDocumentError for one that holds anything else."""
    page = Page.decode(body)
    for descriptor in page.descriptors:
        SignedRelayDescriptor.decode(descriptor)
    for addresses in page.addresses:
        SignedAddressRecord.decode(addresses)
    told = frozenset(map(fingerprint, (*page.descriptors, *page.addresses)))
    return Pages(frozenset(), told, b"")
