"""Named errors of Sign-In with Ethereum: one class a cause (SPEC 20)."""

from peerstream.identity.errors import BadSignatureError, ChainRequiredError, IdentityError


class SiweError(IdentityError):
    """A sign-in message does not hold; everything this package raises about one is one of these."""


class SiweFormatError(SiweError):
    """The text is no EIP-4361 message: whoever built it has a fault, the wallet has none.

    The subclass names the field; build the message with `SiweMessage` or a library.
    """


class MessageTooLongError(SiweFormatError):
    """The message has more than 4 096 characters: shorten the statement or the resources."""


class HeaderError(SiweFormatError):
    """The first line is not `[scheme://]domain wants you to sign in ...`, as EIP-4361 has it."""


class LayoutError(SiweFormatError):
    """A line is missing, doubled, out of order or unknown: see EIP-4361 for the order."""


class DomainError(SiweFormatError):
    """The domain is no RFC 3986 authority with a host.

    A name with letters outside ASCII goes in as its A-label (`xn--...`), as `location.host` has it.
    """


class SchemeError(SiweFormatError):
    """The scheme before the domain is no RFC 3986 scheme."""


class AccountError(SiweFormatError):
    """The address is not 0x and 40 digits, or its ERC-55 checksum fails: copy it again."""


class StatementError(SiweFormatError):
    """The statement has a line break or a character outside RFC 3986's and the space."""


class UriError(SiweFormatError):
    """A URI or a resource is no absolute RFC 3986 URI."""


class VersionError(SiweFormatError):
    """The version is not 1, the only one there is."""


class ChainIdError(SiweFormatError):
    """The chain id is no decimal number below 2^256 without leading zeros."""


class NonceError(SiweFormatError):
    """The nonce is not 8 or more letters and digits: take it from the server as it is."""


class TimeError(SiweFormatError):
    """A time is not of RFC 3339 form, or names a day or an hour that does not exist."""


class RequestIdError(SiweFormatError):
    """The request id has a character that RFC 3986 does not allow in a path segment."""


class RecapError(SiweFormatError):
    """A ReCap (ERC-5573) is malformed, not the last resource, or not what the statement says."""


class SiweMismatchError(SiweError):
    """The message is well formed and not for us: signed for another site, chain or attempt.

    Do not retry it: start the sign-in again, at the right site.
    """


class DomainMismatchError(SiweMismatchError):
    """It was signed for another domain: phishing, or the service's own name is set wrongly."""


class SchemeMismatchError(SiweMismatchError):
    """It was signed for another scheme than the service's: http where https is meant."""


class UriMismatchError(SiweMismatchError):
    """Its URI is not the service's: the page and the service do not have the same origin."""


class ChainIdMismatchError(SiweMismatchError):
    """It was signed for another chain: switch the wallet's network and sign again."""


class NonceMismatchError(SiweMismatchError):
    """Its nonce is not the one that was given out: replayed, or an older attempt. Start again."""


class MessageExpiredError(SiweMismatchError):
    """Its expiration time is over: sign again."""


class MessageNotYetValidError(SiweMismatchError):
    """It is valid later only: wait, or look at the two clocks."""


class SiweSignatureError(SiweError, BadSignatureError):
    """The account did not sign this text: another key did, or the text was changed.

    Sign again, with the account that the message names.
    """


class GrantError(SiweError, BadSignatureError):
    """A sign-in message does not grant what a delegation says, or is none at all.

    Sign again with the statement and the resource that belong to the delegation.
    """


class SiweChainRequiredError(SiweError, ChainRequiredError):
    """Only a contract can check this signature, and there is no chain to ask.

    Use a plain account, or give the service a chain reader.
    """
