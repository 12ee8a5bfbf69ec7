"""Which relays are gone round when paths fail for no known reason (SPEC 10.6)."""

from peerstream.node.roles.doubts import DOUBT_S, Doubts, ladder

A, B, C, D = (bytes([n]) * 32 for n in range(4))


def test_the_relay_that_failing_paths_share_stands_out():
    doubts = Doubts()
    doubts.note((A, B), 0.0)
    doubts.note((A, C), 1.0)
    assert doubts.counts(2.0) == {A: 2, B: 1, C: 1}
    assert ladder(doubts.counts(2.0), frozenset()) == [frozenset({A, B, C}), frozenset({A})]


def test_a_path_that_stands_clears_its_relays():
    doubts = Doubts()
    doubts.note((A, B), 0.0)
    doubts.prove((B, C), 1.0)
    assert doubts.counts(2.0) == {A: 1}
    assert doubts.proved_since(0.5) == {B, C}
    assert doubts.proved_since(1.0) == frozenset()


def test_doubts_pass_and_so_do_proofs():
    doubts = Doubts()
    doubts.note((A,), 0.0)
    doubts.prove((B,), 0.0)
    assert doubts.counts(DOUBT_S - 0.1) == {A: 1}
    assert doubts.counts(DOUBT_S) == {}
    doubts.counts(1e6)
    assert doubts.proved_since(-1.0) == frozenset()


def test_relays_of_which_there_are_few_come_back_first():
    """When all four vanguards are doubted, the rest is avoided all the same."""
    counts = {A: 1, B: 1, C: 2, D: 1}
    assert ladder(counts, frozenset({A, B, C})) == [
        frozenset({A, B, C, D}),
        frozenset({C, D}),
        frozenset({C}),
    ]
    assert ladder({}, frozenset({A})) == []
