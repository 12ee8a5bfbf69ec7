"""The sign-in message of EIP-4361: its fields, its text, and the way back (SPEC 20.1 to 20.3)."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from peerstream.identity.address import Address
from peerstream.identity.errors import AddressError
from peerstream.identity.keys import keccak256
from peerstream.identity.siwe import grammar
from peerstream.identity.siwe.errors import (
    AccountError,
    ChainIdError,
    HeaderError,
    LayoutError,
    MessageTooLongError,
    NonceError,
    RequestIdError,
    SchemeError,
    SiweFormatError,
    StatementError,
    VersionError,
)
from peerstream.identity.siwe.timestamps import read_time

MESSAGE_MAXIMUM: Final = 4_096  # wallets show less; a login endpoint must not be fed more
_INVITATION: Final = " wants you to sign in with your Ethereum account:"
_NONCE: Final = re.compile(r"[A-Za-z0-9]{8,}+")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,77}+")
_NUMBER_BOUND: Final = 1 << 256
_PREFIX: Final = b"\x19Ethereum Signed Message:\n"
_RESOURCES: Final = "Resources:"
_BULLET: Final = "- "
# attribute, label, whether it must be there: the order is EIP-4361's
_LINES: Final = (
    ("uri", "URI: ", True),
    ("version", "Version: ", True),
    ("chain_id", "Chain ID: ", True),
    ("nonce", "Nonce: ", True),
    ("issued_at", "Issued At: ", True),
    ("expiration_time", "Expiration Time: ", False),
    ("not_before", "Not Before: ", False),
    ("request_id", "Request ID: ", False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiweMessage:
    """A well-formed message: building one checks each field, so that ``str`` can be parsed again.

    Texts are kept as they were signed: addresses may be all lower case, times have their own
    offset. ``account`` and ``read_time`` give the values. ``resources`` None and ``()`` differ: the
    second has the heading without entries. Raises a subclass of SiweFormatError.
    """

    domain: str
    address: str
    uri: str
    chain_id: int
    nonce: str
    issued_at: str
    scheme: str | None = None
    statement: str | None = None
    version: str = "1"
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if value is not None:
                check(value)
        for resource in self.resources or ():
            grammar.check_uri(resource)
        if len(str(self)) > MESSAGE_MAXIMUM:
            raise MessageTooLongError("the message has more than 4 096 characters")

    @property
    def account(self) -> Address:
        """The account that signs."""
        return Address(bytes.fromhex(self.address[2:]))

    @property
    def has_checksum(self) -> bool:
        """Whether the address is in ERC-55 form; EIP-4361 only recommends it."""
        return self.address == str(self.account)

    def __str__(self) -> str:
        scheme = "" if self.scheme is None else f"{self.scheme}://"
        lines = [f"{scheme}{self.domain}{_INVITATION}", self.address, ""]
        if self.statement is not None:
            lines.append(self.statement)
        lines.append("")
        for name, label, _ in _LINES:
            value = getattr(self, name)
            if value is not None:
                lines.append(f"{label}{value}")
        if self.resources is not None:
            lines.append(_RESOURCES)
            lines += [_BULLET + resource for resource in self.resources]
        return "\n".join(lines)

    def digest(self) -> bytes:
        """Return the 32 bytes that ``personal_sign`` signs (ERC-191)."""
        text = str(self).encode("ascii")
        return keccak256(_PREFIX + str(len(text)).encode() + text)

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> Self:
        """Build one from the JSON form that other libraries use (``chainId``, ``issuedAt``, ...).

        Raises LayoutError for a field that is missing or unknown, else as the constructor.
        """
        names = {_camel(field.name): field.name for field in fields(cls)}
        missing = [name for name in _REQUIRED if values.get(name) is None]
        if missing or not names.keys() >= values.keys():
            raise LayoutError(f"fields are missing or unknown: {', '.join(missing) or 'unknown'}")
        given = {names[name]: value for name, value in values.items()}
        resources = given.pop("resources", None)
        texts = [v for k, v in given.items() if k != "chain_id" and v is not None]
        if not isinstance(resources, list | tuple | None):
            raise LayoutError("a field is of another type")
        if not all(isinstance(text, str) for text in (*texts, *(resources or ()))):
            raise LayoutError("a field is of another type")
        return cls(**given, resources=None if resources is None else tuple(resources))


def parse(text: str) -> SiweMessage:
    """Read a message, in time linear in its length; ``str`` of the result is the text again.

    Raises a subclass of SiweFormatError.
    """
    if len(text) > MESSAGE_MAXIMUM:
        raise MessageTooLongError("the message has more than 4 096 characters")
    lines = iter(text.split("\n"))
    values = _read_header(_next(lines))
    values["address"] = _next(lines)
    _expect_blank(lines)
    following = _read_statement(lines, values)
    for name, label, required in _LINES:
        if following is not None and following.startswith(label):
            values[name] = following[len(label) :]
            following = next(lines, None)
        elif required:
            raise LayoutError(f"the line {label.strip()!r} is missing or not in its place")
    if following == _RESOURCES:
        values["resources"] = tuple(_read_resource(line) for line in lines)
    elif following is not None:
        raise LayoutError("there is a line that is unknown or out of order")
    values["chain_id"] = _read_chain_id(values["chain_id"])
    return SiweMessage(**values)


def _read_header(line: str) -> dict[str, Any]:
    origin = line.removesuffix(_INVITATION)
    if origin == line:
        raise HeaderError("the first line does not ask to sign in")
    scheme, separator, domain = origin.partition("://")
    return {"scheme": scheme, "domain": domain} if separator else {"domain": origin}


def _read_statement(lines: Iterator[str], values: dict[str, Any]) -> str | None:
    """Read the statement, if any, and the blank line behind it; return the line that follows.

    EIP-4361 has two blank lines around nothing and three around an empty statement.
    """
    first = _next(lines)
    if first:
        values["statement"] = first
        _expect_blank(lines)
        return next(lines, None)
    following = next(lines, None)
    if following == "":
        values["statement"] = ""
        return next(lines, None)
    return following


def _read_resource(line: str) -> str:
    if not line.startswith(_BULLET):
        raise LayoutError("a resource is a line of its own that starts with '- '")
    return line[len(_BULLET) :]


def _read_chain_id(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ChainIdError("a chain id is a decimal number without leading zeros")
    return int(text)


def _next(lines: Iterator[str]) -> str:
    line = next(lines, None)
    if line is None:
        raise LayoutError("the message ends too early")
    return line


def _expect_blank(lines: Iterator[str]) -> None:
    if _next(lines):
        raise LayoutError("a blank line is missing around the statement")


def _check_address(text: str) -> None:
    try:
        Address.parse(text)
    except AddressError as error:
        raise AccountError(str(error)) from error


def _check_chain_id(number: int) -> None:
    if type(number) is not int or not 0 <= number < _NUMBER_BOUND:
        raise ChainIdError("a chain id is a number from 0 up to 2^256")


def _matches(
    pattern: re.Pattern[str], error: type[SiweFormatError], reason: str
) -> Callable[[str], None]:
    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            raise error(reason)

    return check


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


_REQUIRED: Final = ("domain", "address", "uri", "version", "chainId", "nonce", "issuedAt")
_CHECKS: Final[dict[str, Callable[[Any], object]]] = {
    "scheme": _matches(grammar.SCHEME, SchemeError, "the scheme is malformed"),
    "domain": grammar.check_domain,
    "address": _check_address,
    "statement": _matches(grammar.STATEMENT, StatementError, "the statement has such a character"),
    "uri": grammar.check_uri,
    "version": _matches(re.compile("1"), VersionError, "the version is not 1"),
    "chain_id": _check_chain_id,
    "nonce": _matches(_NONCE, NonceError, "the nonce is not 8 or more letters and digits"),
    "issued_at": read_time,
    "expiration_time": read_time,
    "not_before": read_time,
    "request_id": _matches(grammar.SEGMENT, RequestIdError, "the request id has such a character"),
}
