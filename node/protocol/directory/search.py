"""Whom to ask for the admissions, in which order, and when it is enough (SPEC 6.14)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from peerstream.node.protocol.directory.admission_book import AdmissionBook
from peerstream.node.protocol.directory.kademlia import CLOSEST, Contact, nearest_first
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.protocol.directory.weights import Entropy, shuffled

AT_ONCE: Final = 3  # questions under way, Kademlia's alpha
WITNESSES: Final = 3  # drawn among all others: nobody chooses to be one by where its id lies
QUESTIONS_MAX: Final = 32  # of one search, those that fail included
ENDPOINTS_MAX: Final = 4  # of one relay that are tried


@dataclass(frozen=True, slots=True)
class SearchRules:
    """key: what is looked for. own: our relay_id, who is not asked. private: as in 6.4."""

    key: bytes
    own: bytes
    private: bool


class Search:
    """One search. Asks relays that the network file or an admission names, and no other.

    `first`: where some of them are, of which we know it for certain.
    """

    def __init__(
        self,
        rules: SearchRules,
        book: AdmissionBook,
        first: Mapping[bytes, tuple[Endpoint, ...]],
        entropy: Entropy,
    ) -> None:
        self._rules = rules
        self._book = book
        self._entropy = entropy
        self._known = {key: where for key, where in first.items() if where and key != rules.own}
        self._asked: set[bytes] = set()
        self._failed: set[bytes] = set()
        self._under_way: set[bytes] = set()
        self.answered: list[bytes] = []  # in the order of their answers

    @property
    def key(self) -> bytes:
        """What is looked for."""
        return self._rules.key

    def next(self) -> Contact | None:
        """Return whom to ask now; None while there is nobody, see `done`."""
        if len(self._under_way) >= AT_ONCE or len(self._asked) >= QUESTIONS_MAX:
            return None
        near = nearest_first(self._rules.key, self._known.keys() - self._failed)[:CLOSEST]
        waiting = [relay_id for relay_id in near if relay_id not in self._asked]
        if not waiting and not self._under_way:  # what is under way may name nearer ones
            waiting = self._witness(near)
        if not waiting:
            return None
        relay_id = waiting[0]
        self._asked.add(relay_id)
        self._under_way.add(relay_id)
        return Contact(relay_id, self._known[relay_id])

    def _witness(self, near: list[bytes]) -> list[bytes]:
        heard = len(set(self.answered) - set(near))
        others = sorted(self._known.keys() - self._asked)
        return shuffled(others, self._entropy)[:1] if heard < WITNESSES else []

    @property
    def done(self) -> bool:
        """Whether nothing is under way and nobody is left to ask, once `next` gave nobody."""
        return not self._under_way

    def succeed(self, answerer: bytes, closer: Iterable[Contact]) -> None:
        """Learn that a relay answered, and whom it names.

        Take its admissions first: whom no admission names is passed over, as are addresses that a
        relay cannot have. What was known before is tried before what is claimed here.
        """
        self._under_way.discard(answerer)
        self.answered.append(answerer)
        for contact in closer:
            relay_id, private = contact.relay_id, self._rules.private
            where = [each for each in contact.endpoints if each.is_routable(private=private)]
            if where and relay_id in self._book and relay_id != self._rules.own:
                both = dict.fromkeys((*self._known.get(relay_id, ()), *where))
                self._known[relay_id] = tuple(both)[:ENDPOINTS_MAX]

    def fail(self, relay_id: bytes) -> None:
        """Learn that a relay gave no answer, or one that breaks the rules."""
        self._under_way.discard(relay_id)
        self._failed.add(relay_id)
