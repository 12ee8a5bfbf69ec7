"""What goes wrong on ways in and out of a machine, one class for each cause (SPEC 16, 19)."""

from peerstream.node.ports import StreamError


class GatewayError(Exception):
    """A way into the network refused what a program asked for; the subclass says what to do."""


class DestinationError(GatewayError):
    """The host names nothing that can be dialled here; the subclass says what to change."""


class ForeignNameError(DestinationError):
    """The name is not of this network, and there is no exit: use `0x….psp.alt` or `name.eth`."""


class NumericHostError(DestinationError):
    """An IP address was asked for, and there is no exit: have the proxy resolve names.

    curl does with `--socks5-hostname` or `socks5h://`.
    """


class BadNameError(DestinationError):
    """The name is malformed, too long, or its address fails its checksum: copy it again."""


class BadPortError(DestinationError):
    """A port is a number from 1 to 65535: check what was asked for."""


class UnknownAliasError(DestinationError):
    """No contact has that alias: `psp contact list` shows them, `psp contact add` adds one."""


class RequestError(GatewayError):
    """A local program asked in a way that is not taken here; the subclass says what to change."""


class MalformedRequestError(RequestError):
    """What came is neither SOCKS5 nor HTTP CONNECT: check which kind of proxy the program expects.

    curl takes `--socks5-hostname HOST:PORT`, or `--proxytunnel --proxy http://HOST:PORT`.
    """


class OldSocksError(RequestError):
    """The program speaks SOCKS4: tell it that the proxy is SOCKS5 (`socks5h://`)."""


class NoMethodError(RequestError):
    """The program offers neither `no authentication` nor user and password: switch on one."""


class UnsupportedCommandError(RequestError):
    """SOCKS5 has CONNECT and UDP ASSOCIATE here, and no BIND: nobody could be let in by it."""


class UnsupportedAddressError(RequestError):
    """That type of address does not exist in SOCKS5: the program has a fault."""


class NotConnectError(RequestError):
    """Of HTTP there is CONNECT alone: have the program tunnel, as curl with `--proxytunnel`."""


class LargeRequestError(RequestError):
    """The request is larger than any honest one: check what is sent to this port."""


class ServiceError(Exception):
    """A local program cannot be exposed as it was asked; the subclass says what to change."""


class BadServiceError(ServiceError):
    """A service is NAME=TARGET: web=127.0.0.1:8080, db=unix:/run/db.sock, dns=udp:127.0.0.1:53."""


class BadAllowError(ServiceError):
    """Who may call is said by addresses 0x…, `contacts`, or `anyone` alone: copy it again."""


class ServiceConflictError(ServiceError):
    """Two of these exclude each other, or a name was given twice: leave one of them out."""


class TargetRefusedError(ServiceError):
    """The local program takes no connections: start it, or correct the target of the service."""


class LocalClosedError(StreamError):
    """The local program broke its connection off: look into its own log."""


class AccessLogError(ServiceError):
    """The access log cannot be opened: name a file that this user may write."""


class EnsError(DestinationError):
    """A name of ENS leads nowhere; the subclass says why and what to do."""


class EnsUnavailableError(EnsError):
    """Whoever resolves a name learns whom you dial: mark a node of yours `own_node` in the network.

    Without one, dial the address or a contact's alias.
    """


class BadEnsNameError(EnsError):
    """The name is none by ENSIP-15, or looks like another one: copy it again, or ask its owner."""


class EnsUnknownError(EnsError):
    """Nobody has that name, or it names no address: check how it is written."""


class EnsMismatchError(EnsError):
    """The address that the name leads to goes by another name, or by none: do not trust the name.

    Its owner sets the primary name of the address; until then dial the address.
    """


class EnsOffchainError(EnsError):
    """The name is kept outside of the chain, and asking there would tell a stranger whom you dial.

    Dial the address.
    """


class EnsEndpointError(EnsError):
    """Your own node did not answer, or not as a node does: check that it runs and is in sync."""
