"""What a local program is told when it cannot be connected (SPEC 16.5).

SOCKS5 has one byte for it (RFC 1928), with more to say for those who ask (Tor's proposal 304);
HTTP has a status and the word for `Proxy-Status` (RFC 9209).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import trio

from peerstream.identity.errors import IdentityError
from peerstream.node.gateway import errors as ge
from peerstream.node.ports import PortError, SessionEndedError, StreamResetError
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles import errors as re


class Reply(IntEnum):
    """The second byte of an answer of SOCKS5; those from 0xF0 on only where they were asked for."""

    GRANTED = 0x00
    FAILED = 0x01
    NOT_ALLOWED = 0x02
    NETWORK_UNREACHABLE = 0x03
    HOST_UNREACHABLE = 0x04
    REFUSED = 0x05
    TTL_EXPIRED = 0x06
    COMMAND_UNSUPPORTED = 0x07
    ADDRESS_UNSUPPORTED = 0x08
    DESCRIPTOR_MISSING = 0xF0
    DESCRIPTOR_INVALID = 0xF1
    INTRODUCTION_FAILED = 0xF2
    RENDEZVOUS_FAILED = 0xF3
    CARD_MISSING = 0xF4
    CARD_WRONG = 0xF5
    ADDRESS_INVALID = 0xF6
    INTRODUCTION_TIMED_OUT = 0xF7


@dataclass(frozen=True, slots=True)
class Verdict:
    """One cause in three languages.

    plain, extended: for SOCKS5. http: the status. word: the error of `Proxy-Status`.
    """

    plain: Reply
    extended: Reply
    http: int
    word: str

    def reply(self, *, extended: bool) -> Reply:
        """Return the byte for SOCKS5."""
        return self.extended if extended else self.plain


def _same(reply: Reply, http: int, word: str) -> Verdict:
    return Verdict(reply, reply, http, word)


_FORBIDDEN: Final = _same(Reply.NOT_ALLOWED, 403, "http_request_denied")
_NO_NAME: Final = Verdict(Reply.HOST_UNREACHABLE, Reply.ADDRESS_INVALID, 502, "dns_error")
_MALFORMED: Final = _same(Reply.FAILED, 400, "http_request_error")
_REFUSED: Final = _same(Reply.REFUSED, 502, "connection_refused")
_UNREACHABLE: Final = _same(Reply.NETWORK_UNREACHABLE, 503, "destination_unavailable")
_INVALID: Final = Verdict(Reply.FAILED, Reply.DESCRIPTOR_INVALID, 502, "destination_unavailable")
_DENIED: Final = Verdict(Reply.NOT_ALLOWED, Reply.CARD_MISSING, 403, "http_request_denied")
_BUSY: Final = Verdict(Reply.FAILED, Reply.INTRODUCTION_FAILED, 503, "connection_limit_reached")
_BUG: Final = _same(Reply.FAILED, 500, "proxy_internal_error")


def _unreached(extended: Reply, word: str = "destination_unavailable", http: int = 502) -> Verdict:
    return Verdict(Reply.HOST_UNREACHABLE, extended, http, word)


_BY_CLASS: Final[Mapping[type[BaseException], Verdict]] = {
    ge.ForeignNameError: _FORBIDDEN,
    ge.NumericHostError: _FORBIDDEN,
    ge.DestinationError: _NO_NAME,
    ge.UnsupportedCommandError: _same(Reply.COMMAND_UNSUPPORTED, 501, "http_request_error"),
    ge.UnsupportedAddressError: _same(Reply.ADDRESS_UNSUPPORTED, 400, "http_request_error"),
    ge.NotConnectError: _same(Reply.FAILED, 405, "http_request_error"),
    ge.LargeRequestError: _same(Reply.FAILED, 431, "http_request_error"),
    ge.RequestError: _MALFORMED,
    re.DescriptorUnavailableError: _unreached(Reply.DESCRIPTOR_MISSING, "destination_not_found"),
    re.AddressUnknownError: _unreached(Reply.CARD_MISSING, "destination_not_found"),
    re.CallFailedError: _unreached(Reply.INTRODUCTION_FAILED),
    re.IdentityRequiredError: _same(Reply.NOT_ALLOWED, 403, "proxy_configuration_error"),
    re.RoleError: _UNREACHABLE,
    IdentityError: _INVALID,
    ProtocolError: _INVALID,
    SessionEndedError: _unreached(Reply.RENDEZVOUS_FAILED),
    PortError: _UNREACHABLE,
    trio.TooSlowError: Verdict(
        Reply.TTL_EXPIRED, Reply.INTRODUCTION_TIMED_OUT, 504, "connection_timeout"
    ),
}
_BY_STATUS: Final[Mapping[Status, Verdict]] = {
    Status.AUTH_REQUIRED: _DENIED,
    Status.DENIED: _DENIED,
    Status.REVOKED: _DENIED,
    Status.LEVEL: _DENIED,
    Status.AUTH_FAILED: Verdict(Reply.NOT_ALLOWED, Reply.CARD_WRONG, 403, "http_request_denied"),
    Status.BUSY: _BUSY,
    Status.LIMIT: _BUSY,
    Status.STREAM_LIMIT: _BUSY,
    Status.PUZZLE: _BUSY,
    Status.TIMEOUT: _unreached(Reply.INTRODUCTION_TIMED_OUT, "connection_timeout", 504),
}


def verdict_of(error: BaseException) -> Verdict:
    """Return what a program is told of an error; the nearest of its classes that is known decides.

    What a callee said is told by its status: most of them mean that nothing listens there.
    """
    if isinstance(error, (re.CallDeniedError, StreamResetError)):
        return _BY_STATUS.get(error.status, _REFUSED)
    if isinstance(error, re.CallFailedError) and isinstance(error.__cause__, re.CircuitClosedError):
        return _unreached(Reply.RENDEZVOUS_FAILED)
    for kind in type(error).__mro__:
        if kind in _BY_CLASS:
            return _BY_CLASS[kind]
    return _BUG
