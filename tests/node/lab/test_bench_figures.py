"""Medians, ratios and bars from rounds that were measured elsewhere."""

import xml.etree.ElementTree as ET

import pytest

from peerstream.node.lab.bench.figures import describe, memory_by_role, ratios
from peerstream.node.lab.bench.meter import Memory
from peerstream.node.lab.bench.plot import BARS, draw, value_at
from peerstream.node.lab.bench.rounds import DialRun, Plan, Round, Transfer
from peerstream.node.lab.bench.subject import Subject

ROLES = {"relay": [1, 2], "caller": [3], "callee": [4]}


def subject(name="peerstream", profile=None, fresh=()):
    return Subject(
        name=name, profile=profile, version="1", front=9, host="h", roles=ROLES, ready_s=1.0,
        fresh=fresh,
    )  # fmt: skip


def cpu(each):
    return {"all": 10 * each, "relay": each, "caller": 2 * each, "callee": 2 * each}


def round_of(scale):
    transfers = {
        (direction, flows): Transfer(60.0 / scale, cpu(scale), 0.5)
        for direction in ("down", "up")
        for flows in (1, 4, 16)
    }
    dials = DialRun(10, 1, 50.0 / scale, cpu(scale), [0.1 * scale] * 9)
    times = [0.001 * scale * n for n in range(1, 101)]
    return Round(
        load=0.25,
        cold=times,
        further=times,
        echo=times,
        rested=[2 * each for each in times],
        transfers=transfers,
        dials=dials,
        failures=["dial: no"],
    )


def memory():
    each = Memory(100.0, 30.0)
    return memory_by_role(
        {"relay": [each, Memory(102.0, 32.0)], "caller": [each], "callee": [each]}
    )


def found(scales, **changes):
    return describe(subject(**changes), Plan(), [round_of(scale) for scale in scales], memory())


def test_figures_are_medians_of_the_rounds():
    ours = found([1, 5, 2])
    assert ours["rounds"] == 3
    assert ours["cold_dial_ms"] == {"n": 300, "p50": 100.0, "p90": 180.0, "p99": 198.0}
    assert ours["echo_rested_ms"] == {"n": 300, "p50": 200.0, "p90": 360.0}
    assert ours["mb_s"]["down"] == {"1": 30.0, "4": 30.0, "16": 30.0}
    assert ours["cpu_ms_per_mb"] == {"all": 20.0, "relay": 2.0, "caller": 4.0, "callee": 4.0}
    assert (ours["dials"]["n"], ours["dials"]["failed"], ours["dials"]["per_s"]) == (30, 3, 25.0)
    assert ours["rss_mb"] == {"relay": 101.0, "client": 100.0, "callee": 100.0}
    assert ours["pss_mb"]["relay"] == 31.0
    assert ours["load"] == [0.25] * 3
    assert ours["failures"] == {"dial: no": 3}


def test_a_ratio_says_how_many_times_better_ours_is():
    better = ratios(found([1]), found([4], name="tor", profile="public"))
    assert set(better.values()) == {4.0}
    assert {"cold_dial_p50", "echo_p99", "down_16", "up_1", "dials_per_s", "cpu_per_mb"} <= set(
        better
    )


def test_what_failed_is_missing_and_not_zero():
    empty = describe(subject(), Plan(), [Round(0.0, failures=["cold dial: no"])], memory())
    assert empty["cold_dial_ms"] == {"n": 0, "p50": None, "p90": None, "p99": None}
    assert empty["mb_s"]["up"]["16"] is None
    assert empty["dials"]["per_s"] is None
    better = ratios(empty, found([1], name="tor", profile="public"))
    assert set(better.values()) == {None}
    assert draw([empty], "").count(">none<") == len(BARS)


def test_the_plot_has_a_bar_for_each_figure_to_scale():
    systems = [found([1]), found([2], name="tor", profile="public")]
    image = ET.fromstring(draw(systems, "a <note>"))
    space = "{http://www.w3.org/2000/svg}"
    bars = [r for r in image.iter(f"{space}rect") if r.get("height") == "12" and r.get("y") != "10"]
    assert len(bars) == 2 * len(BARS)
    widths = [float(bar.get("width")) for bar in bars]
    for index, (_, names, _) in enumerate(BARS):
        values = [value_at(system, names) for system in systems]
        drawn = widths[2 * index : 2 * index + 2]
        assert drawn[0] / drawn[1] == pytest.approx(values[0] / values[1], rel=0.01)
    assert "a <note>" in [text.text for text in image.iter(f"{space}text")]


def test_a_cold_dial_takes_a_name_once_and_a_flow_shares_nothing():
    ours, tor = subject(), subject("tor", "public", fresh=["a", "b", "c"])
    assert [place.host for place in tor.cold_places(1, 2)] == ["b", "c"]
    assert [place.host for place in ours.cold_places(1, 2)] == ["h", "h"]
    places = [*ours.places(16), *ours.places(16), *ours.cold_places(0, 5)]
    assert len({place.isolation for place in places}) == len(places)
