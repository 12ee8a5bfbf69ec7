"""Whom a program means by a text, and which service there (SPEC 18.1)."""

from collections.abc import Awaitable, Callable

from peerstream.identity.address import Address
from peerstream.identity.contact import ContactCard
from peerstream.node.gateway.names import Destination, parse_destination
from peerstream.node.library.api.dialling import DialRequest
from peerstream.node.library.api.errors import BadRequestError
from peerstream.node.roles.identity import Target

Find = Callable[[Destination, bytes], Awaitable[Target]]
"""Says how to dial a destination, for streams of an isolation: `library.destinations`."""


async def find_target(request: DialRequest, find: Find) -> tuple[Target, str]:
    """Return whom to dial, and which service there.

    Raises BadRequestError, AddressError, EncodingError, KeyMaterialError, and as `find`.
    """
    text, service = request.target, request.service
    if text.startswith("psp:"):
        return Target.of_card(ContactCard.parse(text)), _one_of(service, "")
    if text[:2] in ("0x", "0X") and "." not in text:
        destination = Destination(Address.parse(text))
    else:
        destination = parse_destination(text)
    named = _one_of(service, destination.service)
    return await find(destination, request.isolation), named


def _one_of(wanted: str, named: str) -> str:
    if wanted and named and wanted != named:
        raise BadRequestError(f"the name says the service {named}, the call {wanted}")
    if not wanted and not named:
        raise BadRequestError("no service is named")
    return wanted or named
