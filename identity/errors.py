"""Named errors of the identity package: one class a cause, each with its remedy (SPEC 1)."""


class IdentityError(Exception):
    """Something about who is who did not hold; every error of this package is one of these."""


class EncodingError(IdentityError):
    """The bytes or the text are no canonical encoding: cut, padded, out of range or rewritten.

    Drop them and ask another source; software that made them has a fault.
    """


class CriticalFieldError(EncodingError):
    """A field that must be understood is unknown: newer software wrote it. Update PeerStream."""


class AddressError(IdentityError):
    """The text is no Ethereum address, or its ERC-55 checksum fails: copy it again."""


class KeyMaterialError(IdentityError):
    """The bytes are no usable key: not a curve point, out of range, or of low order.

    Where a peer sent them, drop the peer; where a file held them, restore it from a backup.
    """


class TweakRangeError(IdentityError):
    """A blinding tweak was 0 or not below the group order (chance 2^-128): use another period."""


class BadSignatureError(IdentityError):
    """A signature does not verify under its key: forged, altered, or for another network.

    Nothing that it covers may be used.
    """


class SignatureFormatError(BadSignatureError):
    """The signature is in a form that we refuse: v not 27 or 28, high s, compact, or too long.

    Sign again with a wallet that makes 65-byte low-s signatures.
    """


class WalletRefusedError(BadSignatureError):
    """The account's contract does not accept the signature: its owners changed or it never did."""


class ChainRequiredError(IdentityError):
    """Only a contract can check this signature, and this network reads no chain.

    Use a plain account (EOA) here, or a network in chain mode.
    """


class CallRevertedError(IdentityError):
    """A contract call ended in a revert; a chain reader raises this, the wallet rule catches it."""


class NotYetValidError(IdentityError):
    """It starts in the future: one of the two clocks is wrong, or it was signed for later."""


class IssuedInFutureError(NotYetValidError):
    """It claims to be issued more than an hour from now: the signer's clock, or ours, is wrong."""


class ExpiredError(IdentityError):
    """Its time is over: fetch a newer one, or let the wallet sign again."""


class LifetimeError(IdentityError):
    """It would be valid for longer than the protocol allows: sign one with a shorter life."""


class RevokedError(IdentityError):
    """The account revoked what it issued up to then: let the wallet sign a new delegation."""


class SupersededError(IdentityError):
    """A later delegation of the same account is known: this one no longer counts. Fetch again."""


class ScopeError(IdentityError):
    """The delegation does not allow this use: let the wallet sign one that does."""


class WrongNetworkError(IdentityError):
    """It was made for another network: check the network file on both sides."""


class WrongPeriodError(IdentityError):
    """The record is for neither this period nor a neighbour: replayed, or the clocks differ."""


class StaleRevisionError(IdentityError):
    """A newer revision was already seen: the store rolled the record back. Ask another one."""


class RolledBackError(IdentityError):
    """The record is older than the one that its key committed itself to on the chain.

    A store holds the newer one back, or did not get it; another one may have it.
    """


class OtherRecordError(IdentityError):
    """The chain names another record at this revision: two were made, and it means the other."""


class FutureRevisionError(IdentityError):
    """The revision lies more than an hour ahead of our clock: one of the two clocks is wrong."""


class OtherIdentityError(IdentityError):
    """The record or its contents belong to someone else: drop it, ask another store."""


class NotAuthorisedError(IdentityError):
    """The descriptor is for named contacts and not for us: ask its owner for a new card."""
