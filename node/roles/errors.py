"""What goes wrong in a role, one class for each cause, each with what to do (SPEC 10)."""

from peerstream.node.protocol.wire.status import Status


class RoleError(Exception):
    """A node could not do its part; the subclass says what to do."""


class CircuitFailedError(RoleError):
    """No circuit came about: a relay on the path is down or hostile. Another path may do.

    `unreached`: the fault is known to lie before the last hop, which heard nothing of it.
    `absent`: the relay that the hop before it could not reach, with that hop's word for it.
    """

    def __init__(
        self, reason: str, *, unreached: bool = False, absent: tuple[bytes, bytes] | None = None
    ) -> None:
        super().__init__(reason)
        self.unreached = unreached
        self.absent = absent


class CommandRefusedError(CircuitFailedError):
    """The last hop of a circuit, `relay_id`, refused what it was asked; `status` says why."""

    def __init__(self, status: Status, relay_id: bytes) -> None:
        super().__init__(f"the relay refused: {status.name}")
        self.status = status
        self.relay_id = relay_id


class CircuitClosedError(RoleError):
    """A circuit ended while it was in use: a relay on it died. Open another one."""


class NoGuardError(RoleError):
    """None of our guards can be reached: check the connection to the Internet, then wait.

    If other relays answer, one more is drawn at once, and three in months: whoever can block guards
    should not choose them.
    """


class DescriptorUnavailableError(RoleError):
    """No store has a valid descriptor of that address: it is offline or never published.

    `reasons` tells what each store answered; `unasked`: how many could not be asked. Try again in
    a minute.
    """

    def __init__(self, reasons: tuple[str, ...], unasked: int = 0) -> None:
        super().__init__("; ".join(reasons) or "no store could be asked")
        self.reasons = reasons
        self.unasked = unasked


class RelayAnswerError(RoleError):
    """One relay did not answer a lookup, or has nothing: ask another one."""


class AddressUnknownError(RoleError):
    """The account lists no identity key and no card of it was given: ask its owner for the card."""


class CallFailedError(RoleError):
    """The callee could not be reached or did not answer; the cause says what was tried."""


class CallDeniedError(RoleError):
    """The callee answered and refused the call; `status` says why."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"the callee refused the call: {status.name}")
        self.status = status


class IdentityRequiredError(RoleError):
    """The node has no identity, and was asked for what needs one: make it with `psp id new`."""


class DirectoryUnavailableError(RoleError):
    """The relay set or the relays' descriptors could not be had: nothing can be dialled yet.

    The cause says which. Check the network file and the connection; a node keeps trying.
    """


class RingUnknownError(RoleError):
    """The stores of that period are not known: it is too far away, or its seed is not final yet."""


class StatementKeyError(RoleError):
    """The network's root names another statement key for this relay than the one it holds.

    Nobody would take its descriptors: register the key that the relay shows, or restore its own.
    """


class RelayRefusedError(RoleError):
    """Another relay did not take what we published; `status` says why. Compare clocks and views."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"a relay refused our documents: {status.name}")
        self.status = status
