"""The sessions of a callee, by every id under which their callers may know them (SPEC 5.9)."""

from collections.abc import Iterator

from peerstream.node.protocol.rendezvous.ranking import HeldSession
from peerstream.node.protocol.rendezvous.reception import AdmittedCall
from peerstream.node.roles.circuit import OwnedCircuit
from peerstream.node.roles.circuits import NO_CARE, Care
from peerstream.node.roles.sessions import SessionDriver


class HeldSessions:
    """Sessions that may be resumed."""

    def __init__(self) -> None:
        self._drivers: dict[bytes, SessionDriver] = {}

    def __len__(self) -> int:
        return len(set(self._drivers.values()))

    def __iter__(self) -> Iterator[SessionDriver]:
        return iter(set(self._drivers.values()))

    def add(self, driver: SessionDriver) -> None:
        """Hold a session until it is closed."""
        self._drivers[driver.session.session_id] = driver
        driver.on_closed = lambda: self._forget_ids(driver)

    def held(self, session_id: bytes) -> HeldSession | None:
        """Return the secret of a session by an id, 16 B; None when there is none of that id."""
        driver = self._drivers.get(session_id)
        key = None if driver is None else driver.session.held_key(session_id)
        return None if driver is None or key is None else HeldSession(key, driver.peer.level)

    def care(self, call: AdmittedCall | None, now: float) -> Care:
        """Return how to join a call: quickly, and around what it says is dead, if it resumes."""
        driver = None if call is None else self._drivers.get(call.resumes)
        return NO_CARE if driver is None else Care.hurry(driver.suspects(), driver.patience_s, now)

    def resume(self, call: AdmittedCall, circuit: OwnedCircuit, level: int) -> None:
        """Go on over a circuit; close it when the session is over, or went on by another call."""
        driver = self._drivers.get(call.resumes)
        if driver is None or driver.session.held_key(call.resumes) is None:
            circuit.close()
            return
        driver.resume(call.secrets, circuit, level)
        if driver.alive:
            self._drivers[driver.session.session_id] = driver
        self._forget_ids(driver)

    def _forget_ids(self, driver: SessionDriver) -> None:
        """Let go of ids under which nobody can know the session any more."""
        for name in [name for name, each in self._drivers.items() if each is driver]:
            if not driver.alive or driver.session.held_key(name) is None:
                del self._drivers[name]
