"""What goes wrong between two neighbours: dialling, listening, the bytes of a link (SPEC 9)."""

from peerstream.node.protocol.errors import RemoteProtocolError


class NetworkError(Exception):
    """The network did not do what was asked: nobody broke the protocol, try again or elsewhere."""


class ListenError(NetworkError):
    """One of the addresses could not be listened on: it is taken, not ours, or no TCP address."""


class DialError(NetworkError):
    """No link to this relay came about: take another relay or dial again later."""


class NoUsableAddressError(DialError):
    """The relay has no /ip4|ip6/.../tcp/... address that this host can dial (names are refused)."""


class DialTimeoutError(DialError):
    """The relay did not finish the handshake in time: it is overloaded, filtered or gone."""


class ConnectFailedError(DialError):
    """No TCP connection: refused, unreachable, or our source address is not on this machine."""


class WrongPeerError(DialError):
    """Another key answered at the relay's address: stale address, or someone in between."""


class HandshakeFailedError(DialError):
    """TCP connected, but the other side speaks no Noise and Yamux or left in between."""


class ProtocolRefusedError(DialError):
    """The other side does not serve this protocol to us, now or at all."""


class ClosedError(NetworkError):
    """The host or connection has been closed by us; nothing can be sent on it."""


class RequestFailedError(NetworkError):
    """A request was not answered whole: reset, cut, or too late. Ask another relay."""


class ResponseTooLongError(RequestFailedError):
    """The answer is longer than the caller is willing to read: refuse the relay."""


class ConnectionLostError(NetworkError):
    """The TCP connection ended or broke; every circuit on it is dead."""


class NonceExhaustedError(NetworkError):
    """One Noise key has sealed all the messages it may: dial the neighbour afresh."""


class NegotiationError(RemoteProtocolError):
    """The other side's multistream-select bytes make no sense or never end."""


class NoiseMessageError(RemoteProtocolError):
    """A transport message does not authenticate or is too short: cut the connection."""


class YamuxError(RemoteProtocolError):
    """Something in a Yamux frame breaks the rules of the connection: close the connection."""


class BadFrameError(YamuxError):
    """Unknown version or type, a stream number of the wrong side, a second SYN."""


class WindowViolationError(YamuxError):
    """The peer sent more than the window it was granted: memory is not its to take."""


class FloodError(YamuxError):
    """Too many pings, new streams or answers nobody reads: the peer wants our time or memory."""
