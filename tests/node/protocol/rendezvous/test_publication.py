"""What a callee publishes and when: keys, revisions, periods, points, limits (SPEC 12.5)."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.blinding import blind_public
from peerstream.identity.descriptor import Audience, Record, RecordRules, open_descriptor
from peerstream.identity.keys import IdentityKey
from peerstream.node.protocol.onion.kem import KemPublicKey
from peerstream.node.protocol.rendezvous.publication import (
    Point,
    PublicationRules,
    Publisher,
)
from peerstream.node.protocol.session.transcript import Callee
from tests.node.protocol.directory.network import EPOCH, NETWORK, seeded
from tests.node.protocol.parties import DAY, POINTS, RELAYS, ROOT, Party, checks

CALLEE = Party("callee")
START = 20_830 * DAY  # of a period
HOUR = 3_600
RULES = PublicationRules(
    network_id=NETWORK,
    period_s=DAY,
    record_life_s=3 * HOUR,
    key_life_s=6 * HOUR,
    key_overlap_s=3 * HOUR,
    updates_per_hour=20,
    minimum_level=2,
    accepts_early=False,
    accepts_anonymous=True,
    cell_classes=(1, 2),
)
LEVEL_2 = tuple(Point(p, auth, 2) for p, auth in zip(POINTS, CALLEE.auth, strict=True))
LEVEL_1 = tuple(Point(each.relay_id, bytes([7]) * 32, 1) for each in RELAYS[3:6])
VIEW = (EPOCH, ROOT)
RECORDS = RecordRules(network_id=NETWORK)


def points(version):
    """Another set of points for each version."""
    return tuple(replace(p, auth_public=version.to_bytes(32, "big")) for p in LEVEL_2)


class Publishing:
    """A publisher with its clock, and the stores that take what it makes (or do not)."""

    def __init__(self, name="callee", *, wall=START, audience=None, identity=None, **changes):
        party = CALLEE
        self.party, self.wall = party, wall
        self.audience = audience or Audience()
        self.publisher = Publisher(
            identity or party.identity,
            replace(party, issued=wall - HOUR).signed,
            self.audience,
            replace(RULES, **changes),
            entropy=seeded(name),
        )
        self.out = []  # (unix second, publication)
        self.floors = {}

    def ready(self):
        self.publisher.tick(self.wall)
        self.publisher.set_points(LEVEL_2, self.wall)
        return self

    def publish(self):
        self.publisher.tick(self.wall)
        made = []
        for period in self.publisher.due(self.wall):
            floor = self.floors.get(self.publisher.blinded(period), 0)
            made.append(self.publisher.make(period, VIEW, self.wall, floor))
            self.floors[made[-1].blinded] = made[-1].revision
        self.out += [(self.wall, publication) for publication in made]
        return made

    def run(self, seconds, step=60):
        end = self.wall + seconds
        while self.wall < end:
            self.publish()
            self.wall = min(end, self.wall + step)

    def opened(self, publication, wall=None):
        now = wall or self.wall
        record = Record.parse(publication.record).verify(
            now=now, rules=RECORDS, blinded=publication.blinded
        )
        assert (record.header.revision, record.header.expiry) == (
            publication.revision, publication.expiry,
        )  # fmt: skip
        return open_descriptor(
            record,
            self.party.identity.public,
            self.party.account,
            self.audience.contact_secret,
            client_key=next(iter(self.audience.client_keys), None),
            checks=checks(now=now),
        )

    def key_ids(self, publication, contents):
        """By which ids callers of this record may call, and until when each may be used."""
        for point in contents.introduction_points:
            key = contents.handshake_keys[point.handshake_key]
            callee = Callee(
                NETWORK, self.party.account.raw, publication.blinded, publication.period,
                point.auth_key, KemPublicKey(key.public),
            )  # fmt: skip
            yield callee.key_id, min(key.expiry, publication.expiry)

    def seconds(self, period):
        return [wall for wall, publication in self.out if publication.period == period]


def test_a_descriptor_says_what_the_callee_is():
    callee = Publishing(minimum_level=1, accepts_early=True)
    callee.publisher.tick(START)
    callee.publisher.set_points((*LEVEL_1, *LEVEL_2), START)
    (publication,) = callee.publish()
    contents = callee.opened(publication)
    assert publication.period == START // DAY
    assert publication.blinded == blind_public(CALLEE.identity.public, START // DAY, b"")
    assert [p.relay_id for p in contents.introduction_points] == [p.relay_id for p in LEVEL_2]
    assert [p.relay_id for p in contents.meeting_points] == [p.relay_id for p in LEVEL_1]
    assert (contents.view_epoch, contents.view_root) == VIEW
    assert (contents.minimum_level, contents.cell_classes) == (1, (1, 2))
    assert (contents.accepts_early, contents.accepts_anonymous) == (True, True)
    assert not contents.authorisation_required
    assert callee.publisher.meeting_points() == {bytes([7]) * 32: LEVEL_1[-1].relay_id}


def test_a_descriptor_for_contacts_says_so():
    callee = Publishing(audience=Audience(b"s" * 32, (b"c" * 32,))).ready()
    (publication,) = callee.publish()
    assert callee.opened(publication).authorisation_required
    assert publication.blinded == blind_public(CALLEE.identity.public, START // DAY, b"s" * 32)


def test_nothing_is_due_without_points():
    callee = Publishing()
    callee.run(2 * HOUR)
    assert callee.out == []
    assert callee.publisher.handshake_keys() == {}


# Rotation


@pytest.fixture(scope="module")
def three_days():
    callee = Publishing(wall=START + 5 * HOUR).ready()
    moments = []
    end = callee.wall + 3 * DAY
    while callee.wall < end:
        callee.publish()
        moments.append((callee.wall, frozenset(callee.publisher.handshake_keys())))
        callee.wall += 300
    return callee, moments


def test_every_record_that_can_be_read_is_answered(three_days):
    callee, moments = three_days
    for published_at, publication in callee.out:
        contents = callee.opened(publication, published_at)
        ids = list(callee.key_ids(publication, contents))
        assert len(ids) == 3
        for wall, answered in moments:
            if published_at <= wall:
                assert all(key_id in answered for key_id, until in ids if wall < until)


def test_there_is_always_a_record_of_the_present_period_to_call_by(three_days):
    callee, moments = three_days
    for wall, _ in moments:
        newest = [
            p for published_at, p in callee.out
            if p.period == wall // DAY and published_at <= wall
        ][-1]  # fmt: skip
        (key,) = callee.opened(newest, wall).handshake_keys
        assert min(key.expiry, newest.expiry) > wall + 600


def test_handshake_keys_live_their_time(three_days):
    callee, _ = three_days
    first_used, last_used = {}, {}
    for wall, publication in callee.out:
        (key,) = callee.opened(publication, wall).handshake_keys
        first_used.setdefault(key.public, wall)
        last_used[key.public] = wall
        assert wall < key.expiry <= wall + 9 * HOUR
    assert len(first_used) == 3 * DAY // (6 * HOUR)
    assert max(last_used[key] - first_used[key] for key in first_used) < 6 * HOUR


def test_keys_that_are_over_are_forgotten(three_days):
    _, moments = three_days
    # periods before, now and next; three points; the present key and the one before
    assert max(len(answered) for _, answered in moments) == 3 * 3 * 2
    gone = moments[0][1] & moments[-1][1]
    assert not gone


def test_revisions_rise_strictly_for_each_key(three_days):
    callee, _ = three_days
    by_key = {}
    for _, publication in callee.out:
        by_key.setdefault(publication.blinded, []).append(publication.revision)
    assert len(by_key) == 4
    for revisions in by_key.values():
        assert all(one < other for one, other in pairwise(revisions))


@pytest.mark.parametrize("floor", [0, START - 5, START, START + 900])
def test_a_revision_is_above_what_is_on_disk_and_not_below_the_clock(floor):
    callee = Publishing().ready()
    callee.floors[callee.publisher.blinded(START // DAY)] = floor
    (publication,) = callee.publish()
    assert publication.revision == max(START, floor + 1)


def test_a_clock_that_is_set_back_lowers_no_revision():
    callee = Publishing(wall=START + 2 * HOUR).ready()
    (first,) = callee.publish()
    callee.wall -= HOUR // 2
    callee.publisher.set_points(points(1), callee.wall)
    (second,) = callee.publish()
    assert second.revision == first.revision + 1


def test_another_root_of_the_same_epoch_is_published_at_once_and_another_epoch_is_not():
    callee = Publishing(wall=START + HOUR).ready()
    period = START // DAY
    callee.publisher.set_view(VIEW, callee.wall)
    callee.publish()
    callee.wall += 60
    for view in (VIEW, (EPOCH + 1, bytes(32)), VIEW):
        callee.publisher.set_view(view, callee.wall)
        assert period not in callee.publisher.due(callee.wall)
    callee.publisher.set_view((EPOCH, bytes(32)), callee.wall)
    assert period in callee.publisher.due(callee.wall)


@given(st.integers(START, START + DAY), st.integers(-600, 600))
def test_stores_whose_clock_differs_by_ten_minutes_take_a_record(wall, skew):
    callee = Publishing(wall=wall).ready()
    for publication in callee.publish():
        assert callee.opened(publication, wall + skew)


@pytest.mark.parametrize("life", [600, 1_200, 3 * HOUR, DAY])
def test_records_of_any_life_are_over_in_time_and_not_at_once(life):
    for wall in range(START + 1, START + 601, 37):
        (publication,) = Publishing(wall=wall, record_life_s=life).ready().publish()
        assert wall + life / 2 < publication.expiry <= wall + life + 600
        assert publication.expiry % 600 == 0


def test_records_are_renewed_well_before_they_end(three_days):
    callee, _ = three_days
    period = START // DAY + 1
    times = callee.seconds(period)
    pauses = [b - a for a, b in pairwise(times)]
    assert max(pauses) <= 2 * HOUR + 300
    assert len(set(pauses)) > 4  # no rhythm to recognise a callee by


# The next period


def first_of_next(callee):
    callee.run(START + DAY - callee.wall, step=1)
    return callee.seconds(START // DAY + 1)[0]


def crowd(count, wall):
    """So many callees that started at one moment; when each publishes for the next period."""
    due = []
    for number in range(count):
        identity = IdentityKey.generate(seeded(f"identity {number}"))
        callee = Publishing(f"one of many {number}", wall=wall, identity=identity).ready()
        due.append(callee.publisher._periods[START // DAY + 1].due_at)
    return due


@pytest.mark.parametrize("started", [0, 12 * HOUR, 20 * HOUR, 23 * HOUR])
def test_many_callees_publish_for_the_next_period_apart_in_its_last_hours(started):
    due = crowd(60, START + started)
    opens = max(START + 19 * HOUR, START + started)
    assert all(opens < second <= START + DAY for second in due)
    assert len(set(due)) >= 58  # of 60 in an hour, one pair by chance
    assert max(due) - min(due) > 0.8 * (START + DAY - opens)
    thirds = [sum(opens + n * (START + DAY - opens) / 3 < d for d in due) for n in (1, 2)]
    assert 30 <= thirds[0] <= 50
    assert 10 <= thirds[1] <= 30


def test_the_next_period_is_published_when_it_was_drawn_and_not_before():
    callee = Publishing(wall=START + 18 * HOUR).ready()
    drawn = callee.publisher._periods[START // DAY + 1].due_at
    assert first_of_next(callee) == drawn
    assert callee.opened(callee.out[-1][1], callee.out[-1][0])


@pytest.mark.parametrize("started", [20 * HOUR, 23 * HOUR + 3_500])
def test_no_two_periods_are_published_in_the_same_second_at_the_start(started):
    callee = Publishing(wall=START + started).ready()
    (publication,) = callee.publish()
    assert publication.period == START // DAY


def other_points(callee):
    callee.publisher.set_points(points(1), callee.wall)


def other_key(callee):
    callee.publisher._keys[-1].made_at = callee.wall - RULES.key_life_s


@pytest.mark.parametrize("change", [other_points, other_key])
def test_what_changed_is_published_apart_for_the_two_periods(change):
    callee = Publishing(wall=START + 18 * HOUR + 60).ready()
    first_of_next(callee)
    callee.out.clear()
    changed = callee.wall = callee.wall - 900
    change(callee)
    callee.run(899, step=1)
    now, then = callee.seconds(START // DAY)[0], callee.seconds(START // DAY + 1)[0]
    assert now == changed
    assert changed < then <= changed + 600


# Points


def test_other_points_make_the_present_period_due_at_once():
    callee = Publishing().ready()
    callee.publish()
    assert callee.publisher.due(callee.wall + 1) == ()
    callee.publisher.set_points(LEVEL_2, callee.wall + 1)
    assert callee.publisher.due(callee.wall + 1) == ()  # the same ones
    callee.wall += 1
    callee.publisher.set_points(points(1), callee.wall)
    (publication,) = callee.publish()
    assert {p.auth_key for p in callee.opened(publication).introduction_points} == {
        (1).to_bytes(32, "big")
    }


def test_other_points_do_not_bring_the_next_period_forward():
    callee = Publishing().ready()
    drawn = callee.publisher._periods[START // DAY + 1].due_at
    callee.publish()
    callee.publisher.set_points(points(1), callee.wall)
    assert callee.publisher._periods[START // DAY + 1].due_at == drawn


# What stores take


@pytest.mark.parametrize("limit", [1, 2, 3, 20])
@pytest.mark.parametrize("step", [3, 400])
def test_points_that_come_and_go_make_no_more_than_the_updates_of_an_hour(limit, step):
    callee = Publishing(updates_per_hour=limit).ready()
    end, version = START + 3 * HOUR, 0
    while callee.wall < end:
        callee.publish()
        version += 1
        callee.wall += step
        callee.publisher.set_points(points(version), callee.wall)
    times = callee.seconds(START // DAY)
    busiest = max(sum(t <= other < t + HOUR for other in times) for t in times)
    assert busiest <= limit
    assert len(times) >= 2 * max(1, limit // 2)  # and yet it does publish
    last = callee.wall
    callee.run(HOUR + 120)
    assert any(wall >= last for wall in callee.seconds(START // DAY))


def test_a_burst_of_changes_does_not_use_up_the_hour():
    callee = Publishing().ready()
    for version in range(1, 200):
        callee.publish()
        callee.wall += 3
        callee.publisher.set_points(points(version), callee.wall)
    burst_ended = callee.wall
    callee.run(HOUR)
    assert callee.seconds(START // DAY)[-1] >= burst_ended
    later = [t for t in callee.seconds(START // DAY) if t >= burst_ended]
    assert later[0] - burst_ended <= HOUR // 10 + 60


def test_what_no_store_took_is_due_again_soon_and_does_not_count():
    callee = Publishing(updates_per_hour=2).ready()
    for _ in range(50):
        (publication,) = callee.publish()
        callee.publisher.failed(publication.period, callee.wall + 15)
        assert callee.publisher.due(callee.wall + 14) == ()
        callee.wall += 15
    assert callee.publish()
    callee.publisher.failed(START // DAY - 9, callee.wall)  # a period that is gone: nothing


def test_a_record_is_in_no_repr():
    callee = Publishing().ready()
    (publication,) = callee.publish()
    assert "PSD1" not in repr(publication)
    assert "private" not in repr(callee.publisher._keys)


def test_what_changes_of_the_services_is_published_at_once():
    callee = Publishing().ready()
    callee.publish()
    assert not callee.publisher.outdated(callee.wall)
    callee.publisher.set_rules(RULES, callee.wall)
    assert not callee.publisher.outdated(callee.wall)
    callee.publisher.set_rules(replace(RULES, accepts_early=True, minimum_level=1), callee.wall)
    assert callee.publisher.outdated(callee.wall)
    (again,) = callee.publish()
    assert again.revision > callee.out[0][1].revision
    assert not callee.publisher.outdated(callee.wall)
