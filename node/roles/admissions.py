"""Relays that no view lists, where admission keys say who is one (SPEC 6.12)."""

from peerstream.identity.network import NetworkMode
from peerstream.node.config import NetworkParameters
from peerstream.node.protocol.directory.admission import SignedAdmission
from peerstream.node.protocol.directory.errors import (
    AdmissionOverError,
    BadAdmissionError,
    MalformedDocumentError,
)


def admits(network: NetworkParameters, relay_id: bytes, document: bytes, wall: int) -> bool:
    """Whether `document` is an admission of this relay that is in force at that unix second.

    Where the relay set has a root nothing but a view makes a relay, and the answer is no.
    """
    if network.mode is not NetworkMode.DHT:
        return False
    try:
        signed = SignedAdmission.decode(document)
        admission = signed.verify(network.admission_keys, network.network_id, wall=wall)
    except (MalformedDocumentError, BadAdmissionError, AdmissionOverError):
        return False
    return admission.relay_id == relay_id
