"""The simulation in small: it counts what it opens, and its adversaries see what they must."""

import random
import xml.etree.ElementTree as ET

import pytest

from peerstream.node.lab.simulation.crowd import Crowd, records_by_store
from peerstream.node.lab.simulation.exposure import expose
from peerstream.node.lab.simulation.plots import Chart, _step, curves, histogram
from peerstream.node.lab.simulation.relays import (
    MAIN,
    START,
    adversaries,
    download,
    make_directory,
    make_relays,
    renew_addresses,
    update,
)

RELAYS = 40
SHARES = (0.1, 0.5)


@pytest.fixture(scope="module")
def relays():
    return make_relays(RELAYS, random.Random(1))


@pytest.fixture(scope="module")
def directory(relays):
    return make_directory(relays)


@pytest.fixture(scope="module")
def crowd(directory):
    """One that has opened 600 circuits."""
    crowd = Crowd(directory, random.Random(2), callers=12, callees=6)
    crowd.run(600, 3_600.0)
    return crowd


def test_a_client_receives_the_whole_directory(relays, directory):
    fetched, received = download(relays, directory)
    assert fetched.complete(START)
    assert fetched.candidates(START) == directory.candidates(START)
    assert received > RELAYS * 1_400


def test_later_it_receives_what_changed(relays):
    served = make_directory(relays)
    client, whole = download(relays, served)
    nothing, sent = update(client, served)
    assert nothing < 20
    assert sent > 16 * RELAYS
    renew_addresses(relays[:4], served, START + 60)
    received, _ = update(client, served)
    assert 4 * 100 < received < whole / 20
    assert client.signed_addresses() == served.signed_addresses()


def test_every_relay_of_every_circuit_is_counted(crowd):
    load = crowd.load
    assert load.circuits >= 600
    listening = load.places["rendezvous point"].total() - load.dials
    assert listening == load.dials  # a caller's circuit and a callee's for each call
    assert load.total().total() == 4 * load.circuits - listening
    assert load.places["guard"].total() == load.circuits


def test_time_jumps_and_dials_spread(crowd):
    assert 1_800 < crowd.now < 7_200
    assert load_share(crowd, "store") < 0.6


def load_share(crowd, place):
    return crowd.load.places[place].total() / crowd.load.circuits


def test_circuits_end_where_the_ring_and_the_points_say(crowd, directory):
    responsible = set()
    for callee in crowd._callees:
        responsible |= set(crowd.ring.responsible(callee.key))
        assert len(set(callee.points)) == 3
    assert set(crowd.load.places["store"]) <= responsible
    assert set(crowd.load.total()) <= set(directory.candidates(START))


def test_one_seed_one_run(directory):
    loads = [
        Crowd(directory, random.Random(3), callers=3, callees=2).run(60, 600.0) for _ in range(2)
    ]
    assert loads[0] == loads[1]


def test_records_lie_at_as_many_stores_as_the_ring_says(crowd):
    kept = records_by_store(crowd.ring, 200, random.Random(4))
    most = MAIN.replicas * MAIN.ring_rules.stores_among(len(crowd.ring))
    assert 200 * most * 0.8 < kept.total() <= 200 * most


def test_adversaries_see_more_with_time_and_weight(directory):
    candidates, source = directory.candidates(START), random.Random(5)
    held = adversaries(candidates, SHARES, source)
    assert held[0.1] < held[0.5]
    seen = expose(candidates, held, source, nodes=40, days=12, members=36)
    for share in SHARES:
        guard, both = seen[share].guard, seen[share].both
        assert list(guard) == sorted(guard)
        assert all(one >= other for one, other in zip(guard, both, strict=True))
    assert seen[0.5].guard[-1] > seen[0.1].guard[-1]


def test_who_holds_everything_sees_everybody_at_once(directory):
    candidates = directory.candidates(START)
    held = {1.0: frozenset(candidates), 0.0: frozenset()}
    seen = expose(candidates, held, random.Random(6), nodes=5, days=2, members=RELAYS)
    assert seen[1.0].guard == seen[1.0].both == (1.0, 1.0)
    assert seen[0.0].guard == seen[0.0].both == (0.0, 0.0)


def test_plots_are_documents_that_say_what_they_show():
    drawn = [
        histogram("a < b", ("x", "relays"), [0.5, 1.0, 1.1, 4.0], 8),
        curves("days", ("x", "%"), {"1 %": ([1.0, 2.0], [0.0, 1.0]), "5 %": ([4.0], [3.0])}),
    ]
    for svg in drawn:
        names = [element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()]
        assert names.count("text") > 8
    assert drawn[0].count("<rect") == 1 + 8
    assert drawn[1].count("<polyline") == 4
    assert "a &lt; b" in drawn[0]


@pytest.mark.parametrize(
    ("largest", "step"), [(1, 0.2), (6, 1), (6.1, 2), (18.1, 5), (90, 20), (0.03, 0.005)]
)
def test_axes_have_round_numbers(largest, step):
    assert _step(largest) == pytest.approx(step)


def test_a_chart_begins_at_zero_and_ends_at_the_largest():
    chart = Chart("t", ("x", "y"), (10.0, 100.0))
    chart.line([(0.0, 0.0), (10.0, 100.0)], "#000", dashed=True)
    assert 'points="56.0,256.0 624.0,34.0"' in chart.svg()
