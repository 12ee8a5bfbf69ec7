"""Tickets and puzzles: what they are worth, and that each counts once."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerstream.identity.descriptor import PuzzleOffer
from peerstream.node.protocol.rendezvous import tickets as tickets_module
from peerstream.node.protocol.rendezvous.effort import (
    CALM_S,
    FIRST_EFFORT,
    RAISE_S,
    SEED_LIFE_S,
    Effort,
)
from peerstream.node.protocol.rendezvous.puzzle import EFFORT_MAX, Solution, Solver
from peerstream.node.protocol.rendezvous.ranking import HeldSession
from peerstream.node.protocol.rendezvous.tickets import (
    LIFE_S,
    Standing,
    Tickets,
    pass_in,
    pass_name,
)
from peerstream.node.protocol.session.caller import ResumeSession
from peerstream.node.protocol.session.errors import MalformedMessageError
from tests.node.protocol.directory.network import WALL, seeded
from tests.node.protocol.parties import POINTS, RENDEZVOUS, Party, rules

CALLER, CALLEE = Party("caller"), Party("callee")
FOUND = CALLER.judges(CALLEE.descriptor(), CALLEE)
SEED = b"seed of a puzzle"


def solved(effort=FIRST_EFFORT, seed=SEED, start=b"n" * 16):
    solution = Solver(PuzzleOffer(effort, seed), start).work(100_000)
    assert solution is not None
    return solution


# Tickets


def test_a_ticket_counts_once_and_for_a_week():
    ours = Tickets(seeded("tickets"))
    first, second = ours.issue(to_contact=False, wall=WALL)
    assert ours.use(first, WALL) is Standing.KNOWN
    assert ours.use(first, WALL) is Standing.STRANGER
    assert ours.use(second, WALL + LIFE_S) is Standing.STRANGER
    assert ours.use(second, WALL - 1) is Standing.STRANGER
    assert ours.use(second, WALL + LIFE_S - 1) is Standing.KNOWN


@given(st.integers(0, 8 * 48 - 1))
def test_a_changed_ticket_is_a_strangers_and_spends_nobodys(bit):
    ours = Tickets(seeded("tickets"))
    ticket = ours.issue(to_contact=True, wall=WALL)[0]
    changed = bytearray(ticket)
    changed[bit // 8] ^= 1 << bit % 8
    assert ours.use(bytes(changed), WALL) is Standing.STRANGER
    assert ours.use(ticket, WALL) is Standing.FIRST


def test_only_contacts_get_the_pass_and_points_share_no_name():
    ours = Tickets(seeded("tickets"))
    known, contact = (ours.issue(to_contact=to, wall=WALL)[0] for to in (False, True))
    assert pass_in(known) == pass_in(b"") == b""
    assert pass_in(contact) == ours.contact_pass
    names = {pass_name(ours.contact_pass, auth) for auth in CALLEE.auth}
    assert len(names) == 3
    assert not names & set(CALLEE.auth)


def test_another_service_takes_none_of_our_tickets():
    ticket = Tickets(seeded("one")).issue(to_contact=True, wall=WALL)[0]
    assert Tickets(seeded("another")).use(ticket, WALL) is Standing.STRANGER


def test_what_is_remembered_of_tickets_is_bounded(monkeypatch):
    monkeypatch.setattr(tickets_module, "USED_MAX", 10)
    ours = Tickets(seeded("tickets"))
    left = ours.issue(to_contact=False, wall=WALL)[0]
    for _ in range(10):
        assert ours.use(ours.issue(to_contact=False, wall=WALL)[0], WALL) is Standing.KNOWN
    ours.use(left, WALL)
    assert len(ours._used) == 1
    assert ours.use(left, WALL) is Standing.STRANGER


# Puzzles


def test_a_solution_holds_for_its_seed_nonce_and_effort():
    solution = solved()
    assert solution.holds(SEED)
    assert Solution.decode(solution.encode()) == solution
    assert not solution.holds(b"another seed 16b")
    assert not solution._replace(effort=EFFORT_MAX).holds(SEED)
    assert not solution._replace(nonce=b"m" * 16).holds(SEED)


def test_the_work_grows_with_the_effort():
    tries = []
    for effort in (8, 64):
        total = 0
        for number in range(24):
            solver = Solver(PuzzleOffer(effort, SEED), bytes([number]) + bytes(15))
            while solver.work(1) is None:
                total += 1
        tries.append(total / 24)
    assert 4 < tries[1] / max(1, tries[0]) < 16


def test_nobody_is_asked_for_more_than_the_most():
    solution = Solver(PuzzleOffer(1 << 31, SEED), bytes(16))
    assert solution._effort == EFFORT_MAX


@pytest.mark.parametrize("data", [bytes(23), bytes(25), b"n" * 16 + bytes(4) + b"seed"])
def test_what_is_no_solution_is_malformed(data):
    with pytest.raises(MalformedMessageError):
        Solution.decode(data)


@settings(max_examples=15)
@given(st.binary(max_size=30))
def test_arbitrary_solutions_are_worth_nothing(data):
    effort = Effort(seeded("effort"))
    assert effort.worth(data) == 0
    effort.update(5, 0.0)
    assert effort.worth(data) == 0


def test_a_solution_counts_once_and_not_below_the_first_effort():
    effort = Effort(seeded("effort"))
    effort.update(1, 0.0)
    seed = effort.puzzle.seed
    solution = solved(100, seed)
    assert effort.worth(solution.encode()) == 100
    assert effort.worth(solution.encode()) == 0
    assert effort.worth(solved(FIRST_EFFORT - 1, seed).encode()) == 0
    assert effort.worth(solved(100, SEED).encode()) == 0


def test_solutions_for_the_seed_before_count_and_for_older_ones_not():
    effort, now = Effort(seeded("effort")), 0.0
    effort.update(1, now)
    first = solved(64, effort.puzzle.seed, b"a" * 16), solved(64, effort.puzzle.seed, b"b" * 16)
    effort.update(1, now := now + SEED_LIFE_S)
    assert effort.worth(first[0].encode()) == 64
    effort.update(1, now + SEED_LIFE_S)
    assert effort.worth(first[1].encode()) == 0


def test_the_effort_rises_under_flood_and_falls_to_nothing_in_peace():
    effort, asked, now = Effort(seeded("effort")), [], 0.0
    while now < 200:
        effort.update(50, now)
        asked.append(effort.puzzle.effort)
        now += 1.0
    assert asked[0] == FIRST_EFFORT
    assert asked[int(RAISE_S)] == 4 * FIRST_EFFORT
    assert asked[-1] == EFFORT_MAX
    quiet = now
    while effort.puzzle is not None:
        effort.update(0, now)
        now += 1.0
    assert now - quiet < 6 * CALM_S
    assert effort.worth(b"") == 0


def test_in_peace_nothing_is_asked_however_long():
    effort = Effort(seeded("effort"))
    for now in range(0, 10_000, 7):
        effort.update(0, float(now))
        assert effort.puzzle is None


# Ranks


def opened(reception=None, contacts=(), resume_key=None, **terms):
    message = CALLER.calls(FOUND, **terms)[1]
    reception = reception or CALLEE.reception()
    judged_by = replace(rules(resume_key=resume_key), is_contact=lambda who: who in contacts)
    return reception, reception.open(CALLEE.auth[0], message, judged_by).rank


def test_a_contact_is_known_by_its_proof():
    assert opened(identity=CALLER.named())[1].standing is Standing.STRANGER
    assert opened(contacts=[CALLER.account])[1].standing is Standing.STRANGER
    rank = opened(contacts=[CALLER.account], identity=CALLER.named())[1]
    assert rank.standing is Standing.FIRST
    assert rank.device.account == CALLER.account


def test_who_shows_a_contacts_certificates_without_the_key_is_a_stranger():
    thief = replace(CALLER.named(), device=Party("thief").device)
    rank = opened(contacts=[CALLER.account], identity=thief)[1]
    assert rank.standing is Standing.STRANGER


def test_so_many_claims_a_second_are_checked():
    reception, standings = CALLEE.reception(), []
    judged_by = replace(rules(), is_contact=lambda who: who == CALLER.account)
    for number in range(42):
        call = CALLER.call(FOUND, identity=CALLER.named())
        call._entropy = seeded(("call", number))
        body = call.introduce(POINTS[0], RENDEZVOUS)
        standings.append(reception.open(CALLEE.auth[0], body[32:], judged_by).rank.standing)
    assert standings == [Standing.FIRST] * 40 + [Standing.STRANGER] * 2


def test_a_ticket_of_ours_and_a_solution_rank():
    reception = CALLEE.reception()
    ticket = reception._tickets.issue(to_contact=False, wall=WALL)[0]
    assert opened(reception, ticket=ticket)[1].standing is Standing.KNOWN
    other = CALLEE.reception()
    other.effort.update(1, 0.0)
    solution = solved(64, other.effort.puzzle.seed).encode()
    assert opened(other, puzzle=solution)[1] == (Standing.STRANGER, 64, None)


def test_a_session_that_goes_on_comes_first_if_it_proves_that_it_is_one():
    resume = ResumeSession(b"s" * 16, b"k" * 32, 2)
    assert opened(resume=resume, resume_key=b"k" * 32, service="")[1].standing is Standing.FIRST
    assert opened(resume=resume, resume_key=b"l" * 32, service="")[1].standing is Standing.STRANGER
    assert HeldSession(b"k" * 32, 2).level == 2


def test_answers_bring_tickets_to_callers_with_a_name():
    for identity, count in ((CALLER.named(), 2), (None, 0)):
        call, message = CALLER.calls(FOUND, identity=identity)
        invitation = CALLEE.receives(message)
        assert len(call.joined(invitation.message2).answer.tickets) == count


def test_a_call_with_a_pass_asks_by_its_name_and_without_where_it_is_refused():
    ticket = Tickets(seeded("tickets")).issue(to_contact=True, wall=WALL)[0]
    call = CALLER.call(FOUND, ticket=ticket)
    point = call.points[0]
    auth = CALLEE.auth[0]
    assert call.introduce(point, bytes(32))[:32] == pass_name(pass_in(ticket), auth)
    call.refused("NOT_FOUND")
    assert point in call.points
    assert call.introduce(point, bytes(32))[:32] == auth
    call.refused("LIMIT")
    assert point not in call.points
