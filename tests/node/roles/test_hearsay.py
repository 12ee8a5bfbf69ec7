"""What hops say of others: believed a little, for a while, until we know better."""

from peerstream.node.roles.hearsay import BELIEVED_S, CLAIMS_MAX, Hearsay

RELAYS = [bytes([number]) * 32 for number in range(20)]
LIAR, OTHER = b"l" * 32, b"o" * 32


def test_a_claim_ends():
    hearsay = Hearsay()
    hearsay.note(LIAR, RELAYS[0], 10.0)
    assert hearsay.relays(10.0 + BELIEVED_S - 0.1) == {RELAYS[0]}
    assert hearsay.relays(10.0 + BELIEVED_S) == frozenset()


def test_a_liar_is_believed_of_a_few_relays():
    hearsay = Hearsay()
    for number, relay_id in enumerate(RELAYS):
        hearsay.note(LIAR, relay_id, float(number))
    assert hearsay.relays(19.0) == set(RELAYS[-CLAIMS_MAX:])
    hearsay.note(LIAR, RELAYS[-CLAIMS_MAX], 20.0)
    hearsay.note(LIAR, RELAYS[0], 21.0)
    assert RELAYS[-CLAIMS_MAX] in hearsay.relays(21.0)


def test_a_circuit_over_a_relay_refutes_what_all_said():
    hearsay = Hearsay()
    for reporter in (LIAR, OTHER):
        hearsay.note(reporter, RELAYS[0], 1.0)
        hearsay.note(reporter, RELAYS[1], 1.0)
    hearsay.refute((RELAYS[1], RELAYS[2]))
    assert hearsay.relays(1.0) == {RELAYS[0]}
