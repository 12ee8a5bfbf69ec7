"""REKEY1, REKEY2, REKEY3, SWITCH: fresh secrets for a living session (SPEC 5.4).

The caller alone starts a rekey, so that two never cross. It is over when every living path has
switched in both directions; then the shared secret is forgotten.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.errors import KemError
from peerstream.node.protocol.onion.kem import KemPrivateKey, KemPublicKey
from peerstream.node.protocol.session.errors import RekeyError
from peerstream.node.protocol.session.frames import (
    REKEY1_PART,
    REKEY2_PART,
    Frame,
    Rekey1,
    Rekey2,
    Rekey3,
    Switch,
)
from peerstream.node.protocol.session.path import Path
from peerstream.node.protocol.session.schedule import PathChain

REKEY_SECONDS = 600.0
REKEY_BYTES = 1 << 30
REKEY_GAP = 10.0  # until the peer's idle paths have switched as well
NUMBERS_VOID = 16  # left out at a rekey, as the peer may have tried blobs with them


class RekeyHost(Protocol):
    """What a rekey needs of its session."""

    def push_rekey(self, frame: Frame) -> None:
        """Send a frame reliably."""

    def void_paths(self, first_path: int) -> None:
        """No path below ``first_path`` joins any more; those that joined half are given up."""

    def drop_unswitched(self, rekey: int) -> None:
        """Give up the old paths that never switched: for the peer they are dead."""


class _Halves:
    """The two parts of a message that does not fit the smallest cell."""

    def __init__(self) -> None:
        self._parts: dict[int, bytes] = {}

    def add(self, part: int, body: bytes) -> bytes | None:
        """Return the whole when both parts are there; one that came twice must be the same."""
        if self._parts.setdefault(part, body) != body:
            raise RekeyError("a part of a rekey changed")
        return self._parts[0] + self._parts[1] if len(self._parts) == 2 else None


class Rekey:
    """One side's part of the exchange."""

    __slots__ = ("_chains", "_halves", "_host", "_may_switch", "_private", "bytes", "complete",
                 "first_path", "initiator", "number", "shared", "since")  # fmt: skip

    def __init__(
        self,
        chains: tuple[PathChain, PathChain],
        host: RekeyHost,
        *,
        initiator: bool,
        now: float,
    ) -> None:
        self._chains = chains
        self._host = host
        self._private: KemPrivateKey | None = None
        self._halves = _Halves()
        self._may_switch = False
        self.initiator = initiator
        self.number = 0
        self.first_path = 0
        self.shared: bytes | None = None
        self.complete = True
        self.since = now
        self.bytes = 0

    def due(self, now: float) -> bool:
        """Whether the caller should start one."""
        if not self.initiator or not self.complete or now < self.since + REKEY_GAP:
            return False
        return now >= self.since + REKEY_SECONDS or self.bytes >= REKEY_BYTES

    def deadline(self) -> float:
        """When the caller starts the next one, if the bytes do not make it earlier."""
        return self.since + (REKEY_GAP if self.bytes >= REKEY_BYTES else REKEY_SECONDS)

    @property
    def under_way(self) -> bool:
        """Whether the secret of the current rekey is not there yet."""
        return not self.complete and self.shared is None

    def start(self, first_path: int, entropy: Callable[[int], bytes]) -> None:
        """Send a fresh key; paths numbered from ``first_path`` on will use the new chain."""
        if not self.initiator or not self.complete:
            raise LocalProtocolError("only the caller rekeys, and one rekey at a time")
        self._begin(self.number + 1, first_path)
        self._host.void_paths(first_path)
        self._private = KemPrivateKey.from_seed(entropy(32))
        raw = self._private.public.raw
        for part in (0, 1):
            body = raw[part * REKEY1_PART :][:REKEY1_PART]
            self._host.push_rekey(Rekey1(self.number, first_path, part, body))

    def _begin(self, number: int, first_path: int) -> None:
        self.number = number
        self.first_path = first_path
        self.complete = False
        self.shared = None
        self._may_switch = False
        self._halves = _Halves()

    def receive1(self, frame: Rekey1) -> None:
        """Answer, as the responder, a whole key with a ciphertext."""
        if self.initiator:
            raise RekeyError("the callee does not start a rekey")
        if frame.rekey == self.number + 1 and (self.complete or self._may_switch):
            if not self.complete:
                self._host.drop_unswitched(self.number)
            self._begin(frame.rekey, frame.first_path)
        elif frame.rekey != self.number:
            raise RekeyError(f"rekey {frame.rekey} after {self.number}")
        if frame.first_path != self.first_path:
            raise RekeyError("the parts of a rekey disagree")
        if self.complete or self.shared is not None:
            return  # sent again by a peer that did not hear of our answer
        raw = self._halves.add(frame.part, frame.body)
        if raw is not None:
            self._answer(raw)

    def _answer(self, raw: bytes) -> None:
        try:
            sealed = KemPublicKey(raw).encapsulate()
        except KemError as error:
            raise RekeyError("the fresh key is no key") from error
        self._host.void_paths(self.first_path)
        self._learn(sealed.shared)
        for part in (0, 1):
            body = sealed.ciphertext[part * REKEY2_PART :][:REKEY2_PART]
            self._host.push_rekey(Rekey2(self.number, part, body))

    def receive2(self, frame: Rekey2) -> None:
        """Learn the secret, as the initiator, and say so."""
        if not self.initiator or frame.rekey > self.number or frame.rekey == 0:
            raise RekeyError(f"an answer to rekey {frame.rekey}, which was not sent")
        if frame.rekey < self.number or self.shared is not None or self._private is None:
            return
        ciphertext = self._halves.add(frame.part, frame.body)
        if ciphertext is None:
            return
        try:
            self._learn(self._private.decapsulate(ciphertext))
        except KemError as error:
            raise RekeyError("the answer to our key does not decapsulate") from error
        self._private = None
        self._may_switch = True
        self._host.push_rekey(Rekey3(self.number))

    def _learn(self, shared: bytes) -> None:
        self.shared = shared
        for chain in self._chains:
            chain.rekey(shared, self.first_path)

    def receive3(self, frame: Rekey3) -> None:
        """Hear, as the responder, that the initiator has the secret."""
        if self.initiator or frame.rekey > self.number or frame.rekey == 0:
            raise RekeyError(f"the end of rekey {frame.rekey}, which was not begun")
        if frame.rekey == self.number and not self.complete:
            if self.shared is None:
                raise RekeyError("the end of a rekey before its answer")
            self._may_switch = True

    def receive_switch(self, frame: Switch, path: Path, *, last: bool) -> None:
        """Open the peer's next cell on this path with the new key."""
        if (
            self.shared is None
            or not last
            or frame.rekey != self.number
            or path.rekeyed_in == frame.rekey
            or path.number >= self.first_path
        ):
            raise RekeyError(f"SWITCH to {frame.rekey} on path {path.number}")
        path.opener.switch(self.shared, frame.rekey)
        path.rekeyed_in = frame.rekey
        self._may_switch = True

    def wants_switch(self, path: Path) -> bool:
        """Whether the next cell of this path must end with SWITCH."""
        return (
            self._may_switch
            and self.shared is not None
            and path.number < self.first_path
            and path.rekeyed_out != self.number
        )

    def switched(self, path: Path) -> None:
        """Seal the next cell with the new key: one with SWITCH went out."""
        if self.shared is None:
            raise LocalProtocolError("SWITCH without a secret")
        path.sealer.switch(self.shared, self.number)
        path.rekeyed_out = self.number

    def finish(self, paths: Iterable[Path], now: float) -> bool:
        """Forget the secret once every old path switched both ways; True when that was now."""
        if self.complete or self.shared is None or not self._may_switch:
            return False
        old = [path for path in paths if path.number < self.first_path]
        if any(p.rekeyed_out != self.number or p.rekeyed_in != self.number for p in old):
            return False
        self.complete = True
        self.shared = None
        self._may_switch = False
        self.since = now
        self.bytes = 0
        return True
