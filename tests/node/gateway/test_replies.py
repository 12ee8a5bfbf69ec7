"""Each error that dialling can raise, in the words of SOCKS5 and HTTP (SPEC 16.5)."""

import pytest
import trio

from peerstream.identity.errors import AddressError, IdentityError
from peerstream.node.gateway import errors as ge
from peerstream.node.gateway.replies import Reply, verdict_of
from peerstream.node.ports import SessionEndedError, StreamResetError, UnreachableError
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles import errors as re

TOLD_BY_STATUS = (re.CallDeniedError, StreamResetError)


def rendezvous_lost():
    error = re.CallFailedError("lost")
    error.__cause__ = re.CircuitClosedError("gone")
    return error


@pytest.mark.parametrize(
    ("error", "plain", "extended", "http"),
    [
        (ge.ForeignNameError(), 2, 2, 403),
        (ge.NumericHostError(), 2, 2, 403),
        (ge.BadNameError(), 4, 0xF6, 502),
        (ge.UnknownAliasError(), 4, 0xF6, 502),
        (ge.UnsupportedCommandError(), 7, 7, 501),
        (ge.UnsupportedAddressError(), 8, 8, 400),
        (ge.MalformedRequestError(), 1, 1, 400),
        (ge.NotConnectError(), 1, 1, 405),
        (ge.LargeRequestError(), 1, 1, 431),
        (re.DescriptorUnavailableError(()), 4, 0xF0, 502),
        (re.AddressUnknownError(), 4, 0xF4, 502),
        (re.CallFailedError(), 4, 0xF2, 502),
        (rendezvous_lost(), 4, 0xF3, 502),
        (re.CallDeniedError(Status.NO_SERVICE), 5, 5, 502),
        (re.CallDeniedError(Status.AUTH_REQUIRED), 2, 0xF4, 403),
        (re.CallDeniedError(Status.AUTH_FAILED), 2, 0xF5, 403),
        (re.CallDeniedError(Status.LEVEL), 2, 0xF4, 403),
        (re.CallDeniedError(Status.BUSY), 1, 0xF2, 503),
        (StreamResetError(Status.NO_SERVICE), 5, 5, 502),
        (StreamResetError(Status.CLOSED), 5, 5, 502),
        (StreamResetError(Status.TIMEOUT), 4, 0xF7, 504),
        (SessionEndedError(Status.IDLE), 4, 0xF3, 502),
        (re.IdentityRequiredError(), 2, 2, 403),
        (re.NoGuardError(), 3, 3, 503),
        (re.DirectoryUnavailableError(), 3, 3, 503),
        (UnreachableError(), 3, 3, 503),
        (AddressError(), 1, 0xF1, 502),
        (trio.TooSlowError(), 6, 0xF7, 504),
        (ValueError(), 1, 1, 500),
    ],
)
def test_an_error_in_three_languages(error, plain, extended, http):
    verdict = verdict_of(error)
    assert verdict.reply(extended=False) is Reply(plain)
    assert verdict.reply(extended=True) is Reply(extended)
    assert verdict.http == http


def subclasses(kind):
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


def test_nothing_that_dialling_raises_is_called_a_bug():
    kinds = [
        kind
        for root in (ge.GatewayError, re.RoleError, IdentityError, ProtocolError)
        for kind in subclasses(root)
        if kind.__module__.startswith("peerstream.") and not issubclass(kind, TOLD_BY_STATUS)
    ]
    assert len(kinds) > 60
    for kind in kinds:
        assert verdict_of(kind.__new__(kind)).http != 500, kind


def test_extended_codes_never_reach_who_did_not_ask():
    for kind in subclasses(Exception):
        if kind.__module__.startswith("peerstream.") and not issubclass(kind, TOLD_BY_STATUS):
            assert verdict_of(kind.__new__(kind)).plain < 0x09
