"""What can be wrong with a relay, a view, a record or a path (SPEC 6)."""

from peerstream.node.protocol.errors import MalformedError, ProtocolError, RemoteProtocolError
from peerstream.node.protocol.wire.status import Status


class DirectoryError(RemoteProtocolError):
    """A document of the directory cannot be used; the subclass says why and what to do."""


class MalformedDocumentError(DirectoryError, MalformedError):
    """The bytes are no canonical document of that kind: drop them, ask another source."""


class BadDocumentSignatureError(DirectoryError):
    """The signature is not by the key it names: forged or of another network. Drop it."""


class BadPossessionError(DirectoryError):
    """The operator never proved to hold the relay's key: squatted, or the proof was stripped.

    Ask another source for the same set before giving the relay up: a proof cannot be forged, but
    whoever carries it can damage it.
    """


class WrongEpochError(DirectoryError):
    """The document is of an epoch we do not keep: too old, or published too early."""


class ExpiredDocumentError(DirectoryError):
    """Its validity is over or has not begun: fetch the current one; check the clock if all are."""


class UnknownRelayError(DirectoryError):
    """The relay is in no relay set of the epochs in force: refuse it, never dial it."""


class NoDescriptorError(DirectoryError):
    """The relay is known but its relay descriptor or addresses are not: fetch the directory."""


class EquivocationError(DirectoryError):
    """One relay signed two descriptors for one epoch; ``evidence`` proves it to anybody.

    The relay is left out for that epoch; where it named a statement key it can be slashed.
    """

    def __init__(self, message: str, *, evidence: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.evidence = evidence


class DistrustedDescriptorError(DirectoryError):
    """Most relays hold another descriptor of this relay than the one offered: it was for us alone.

    Ask another source for the one that they hold.
    """


class StaleDocumentError(DirectoryError):
    """We hold a newer one: the source lags or replays. Keep ours."""


class RootMismatchError(DirectoryError):
    """The relays handed to us are not those under the agreed root: ask another source."""


class ViewMismatchError(DirectoryError):
    """The other side names another relay set for that epoch, or an epoch we do not hold.

    One of the two is being shown a different network: do not go on; refresh the view and compare.
    """


class ForkedFileError(DirectoryError):
    """The signer signed two static files with one serial: stop and ask the network's operator."""


class RolledBackError(DirectoryError):
    """The static file is older than one we have seen: whoever serves it hides the newer one."""


class BadAdmissionError(DirectoryError):
    """No admission key of this network signed it as it stands: forged, or of another network.

    Nobody honest hands such a document on: believe nothing else of who did.
    """


class AdmissionOverError(DirectoryError):
    """The admission is over, or has not begun: the keeper of an admission key signs another.

    If all are, compare the clock.
    """


class TooManyAdmissionsError(DirectoryError):
    """There are as many relays as a view holds: the keepers of the admission keys admit fewer."""


class UnknownKeyError(DirectoryError):
    """Nothing is kept under that key: the period differs, or it is another network's DHT."""


class UnservedQuestionError(DirectoryError):
    """A question that this DHT does not know, such as those for providers: ask for values only."""


class TooFewPointsError(DirectoryError):
    """A descriptor names fewer than three introduction points of distinct operators.

    With fewer, whether we can use one is a question about our guard. Refuse the descriptor.
    """


class RecordRefusedError(DirectoryError):
    """A store does not take the record; the subclass says why, as does the status sent back."""

    status = Status.BAD_RECORD


class InvalidRecordError(RecordRefusedError):
    """The record is malformed, not signed by its key, or not of this time: publish a correct one.

    If every record is refused, compare the clock and the network file.
    """


class NotResponsibleError(RecordRefusedError):
    """The record belongs to other stores: the sender's ring or period differs from ours."""

    status = Status.NOT_RESPONSIBLE


class StaleRevisionError(RecordRefusedError):
    """A newer revision, or another record with this revision, is stored: publish a higher one."""

    status = Status.STALE_REVISION


class TooManyUpdatesError(RecordRefusedError):
    """The key published more often in an hour than the network allows: wait."""

    status = Status.LIMIT


class StoreFullError(RecordRefusedError):
    """Everything stored lives longer than this record: try the other stores."""

    status = Status.BUSY


class RecordNotFoundError(DirectoryError):
    """The store has nothing under that index; an invalid record looks the same. Ask another."""


class NoSafePathError(ProtocolError):
    """No path keeps the rules: too few relays, or all alternatives are in the exclusion set.

    Nobody's breach. Try other introduction points or a fresh descriptor; never change the guard.
    """


class NoGuardReachableError(NoSafePathError):
    """None of our guards can be reached. Wait: more guards would be less safe."""


class DirectoryIncompleteError(ProtocolError):
    """Descriptors for less than nine tenths of the weight are known: fetch more before dialling.

    Building paths from what one source chose to show lets that source choose the paths.
    """
