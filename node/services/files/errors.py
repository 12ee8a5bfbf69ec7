"""Why a file did not get across: one class a cause, each with its remedy (SPEC 11)."""

from typing import ClassVar

from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.services.files.wire import FileStatus


class FileServiceError(Exception):
    """A file was not moved; the subclass says why. `status` is what the peer is told."""

    status: ClassVar[FileStatus] = FileStatus.STORAGE


# The peer broke the protocol, or fell silent


class FilePeerError(FileServiceError, RemoteProtocolError):
    """The peer broke the protocol of files: the stream is reset, the node goes on."""


class UnexpectedMessageError(FilePeerError):
    """A message came where none of its kind can stand: the peer's software is faulty."""


class WrongOffsetError(FilePeerError):
    """An offset was not agreed, or lies beyond the end: the peer's software is faulty."""


class WrongReceiptError(FilePeerError):
    """The peer confirmed another file than was sent. Do not count on what it stored."""


class EndedEarlyError(FileServiceError):
    """The peer ended the stream before the file was through. Send it again: it resumes."""


class StalledError(FileServiceError):
    """The peer was silent for longer than SPEC 11.5 allows. Send it again: it resumes."""


# One of the two sides did not want to, or could not go on


class RefusedError(FileServiceError):
    """The receiver did not take the file; `reason` says why. Ask its owner, or send less."""

    def __init__(self, reason: FileStatus) -> None:
        super().__init__(f"the receiver refused the file: {reason.name}")
        self.reason = reason


class AbortedError(FileServiceError):
    """The sender gave the file up in the middle; `reason` says why. It will offer it again."""

    def __init__(self, reason: FileStatus) -> None:
        super().__init__(f"the sender gave the file up: {reason.name}")
        self.reason = reason


# The sender's side


class UnreadableFileError(FileServiceError):
    """The file is missing, no plain file, or may not be read. The message has the reason."""

    status = FileStatus.UNREADABLE


class FileChangedError(FileServiceError):
    """The file changed since it was hashed: wait until nothing writes to it, and send it again."""

    status = FileStatus.CHANGED


# The receiver's side: an offer that is not taken. The stream stays usable.


class OfferError(FileServiceError):
    """An offer was refused, by rule or by choice; the sender was told `status`."""


class HostileNameError(OfferError):
    """The name breaks SPEC 11.4: it could hide, escape or deceive. Rename the file."""

    status = FileStatus.NAME


class DeclinedError(OfferError):
    """The receiver's user or policy does not want this file."""

    status = FileStatus.DECLINED


class AnonymousSenderError(DeclinedError):
    """The sender has no verified address: files are taken only from somebody."""


class TooLargeError(OfferError):
    """The file is larger than the receiver takes: raise its limit, or split the file."""

    status = FileStatus.TOO_LARGE


class QuotaError(OfferError):
    """The address has sent as much as the receiver takes from one: raise the quota or restart."""

    status = FileStatus.QUOTA


class BusyError(OfferError):
    """The same file is arriving already, or too many are: send it again later."""

    status = FileStatus.BUSY


# The receiver's side: what arrives cannot be kept


class DiskFullError(OfferError):
    """The disk has no room for the file: free some. What arrived is kept, and resumes."""

    status = FileStatus.NO_SPACE


class StorageError(OfferError):
    """The operating system refused to store the file. The message has its reason."""


class UnsafeDirectoryError(StorageError):
    """`.psp-parts` is not a directory of ours alone: remove it, or choose another directory."""


class HashMismatchError(FileServiceError):
    """All bytes came and are not the file that was offered: it was dropped. Ask for it again."""

    status = FileStatus.MISMATCH
