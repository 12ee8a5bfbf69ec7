"""The steps of a rekey out of turn, twice, or by the wrong side."""

import pytest

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session.errors import RekeyError
from peerstream.node.protocol.session.frames import Rekey1, Rekey2, Rekey3, Switch
from peerstream.node.protocol.session.path import Path
from peerstream.node.protocol.session.rekey import Rekey
from peerstream.node.protocol.session.schedule import Direction, PathChain
from tests.node.protocol.session.joined import entropy_of


class Host:
    """Records what a rekey asks of its session."""

    def __init__(self):
        self.sent, self.voided, self.dropped = [], [], []

    def push_rekey(self, frame):
        self.sent.append(frame)

    def void_paths(self, first_path):
        self.voided.append(first_path)

    def drop_unswitched(self, rekey):
        self.dropped.append(rekey)


def side(*, initiator):
    chains = tuple(PathChain(bytes([d]) * 32, d) for d in Direction)
    host = Host()
    return Rekey(chains, host, initiator=initiator, now=0.0), host


def exchange():
    """Both sides behind REKEY2: the initiator has the secret."""
    (caller, out), (callee, back) = side(initiator=True), side(initiator=False)
    caller.start(20, entropy_of("rekey"))
    for frame in out.sent[:2]:
        callee.receive1(frame)
    for frame in back.sent[:2]:
        caller.receive2(frame)
    assert caller.shared == callee.shared is not None
    return caller, out, callee, back


def test_all_steps_may_come_twice_and_change_nothing():
    caller, out, callee, back = exchange()
    shared, sent = caller.shared, (len(out.sent), len(back.sent))
    for frame in out.sent[:2]:
        callee.receive1(frame)
    for frame in back.sent[:2]:
        caller.receive2(frame)
    assert isinstance(out.sent[2], Rekey3)
    callee.receive3(out.sent[2])
    callee.receive3(out.sent[2])
    assert (caller.shared, callee.shared) == (shared, shared)
    assert (len(out.sent), len(back.sent)) == sent
    assert out.voided == back.voided == [20]


def test_without_old_paths_it_is_over_at_once_and_the_secret_is_gone():
    caller, out, callee, _ = exchange()
    assert not callee.finish([], 9.0)  # it has not heard that the initiator knows
    callee.receive3(out.sent[2])
    for each in (caller, callee):
        assert each.finish([], 9.0)
        assert each.shared is None
        assert each.complete


@pytest.mark.parametrize(
    ("which", "frame"),
    [
        ("caller 1", Rekey1(1, 20, 0, bytes(608))),  # the callee starts none
        ("caller 3", Rekey3(1)),
        ("caller 2", Rekey2(2, 0, bytes(560))),  # an answer to what was not asked
        ("caller 2", Rekey2(0, 0, bytes(560))),
        ("callee 1", Rekey1(3, 20, 0, bytes(608))),  # out of turn
        ("callee 1", Rekey1(2, 40, 0, bytes(608))),  # before the last one is known to be over
        ("callee 1", Rekey1(1, 22, 0, bytes(608))),  # the parts disagree
        ("callee 3", Rekey3(2)),
        ("callee 3", Rekey3(0)),
    ],
)
def test_each_breach_is_a_rekey_error(which, frame):
    caller, _, callee, _ = exchange()
    machine = {"caller": caller, "callee": callee}[which[:-2]]
    with pytest.raises(RekeyError):
        getattr(machine, f"receive{which[-1]}")(frame)


def test_a_part_that_changes_is_a_breach():
    caller, out = side(initiator=True)
    callee, _ = side(initiator=False)
    caller.start(20, entropy_of("rekey"))
    callee.receive1(out.sent[0])
    callee.receive1(out.sent[0])
    with pytest.raises(RekeyError):
        callee.receive1(Rekey1(1, 20, 0, bytes(608)))


def test_the_end_before_the_answer_is_a_breach():
    caller, out = side(initiator=True)
    callee, _ = side(initiator=False)
    caller.start(20, entropy_of("rekey"))
    callee.receive1(out.sent[0])
    with pytest.raises(RekeyError):
        callee.receive3(Rekey3(1))


def test_a_key_or_ciphertext_that_is_none_is_a_breach():
    callee, _ = side(initiator=False)
    callee.receive1(Rekey1(1, 20, 0, b"\xff" * 608))
    with pytest.raises(RekeyError):
        callee.receive1(Rekey1(1, 20, 1, b"\xff" * 608))
    caller, _ = side(initiator=True)
    caller.start(20, entropy_of("rekey"))
    caller.receive2(Rekey2(1, 0, bytes(560)))
    with pytest.raises(RekeyError):
        caller.receive2(Rekey2(1, 1, bytes(560)))  # its X25519 point is of low order


def test_a_next_rekey_gives_up_what_never_switched():
    _, out, callee, back = exchange()
    callee.receive3(out.sent[2])
    callee.receive1(Rekey1(2, 40, 0, bytes(608)))
    assert back.dropped == [1]
    assert callee.number == 2
    assert callee.shared is None
    with pytest.raises(RekeyError):
        callee.receive_switch(Switch(1), Path(0, None, (None, None), 2, 0.0), last=True)


def test_only_the_caller_starts_and_one_at_a_time():
    callee, _ = side(initiator=False)
    with pytest.raises(LocalProtocolError):
        callee.start(20, entropy_of(1))
    caller, _ = side(initiator=True)
    caller.start(20, entropy_of(1))
    with pytest.raises(LocalProtocolError):
        caller.start(40, entropy_of(1))
    assert caller.under_way
    assert not caller.due(10_000.0)
    with pytest.raises(LocalProtocolError):
        caller.switched(None)


def test_when_one_is_due():
    caller, _ = side(initiator=True)
    assert not caller.due(599.0)
    assert caller.due(600.0)
    assert caller.deadline() == 600.0
    caller.bytes = 1 << 30
    assert not caller.due(9.0)
    assert caller.due(10.0)
    assert caller.deadline() == 10.0
    assert not side(initiator=False)[0].due(10_000.0)
