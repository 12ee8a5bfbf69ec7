"""What `psp chaos` plans, and whom it strikes."""

import pytest

from peerstream.node.lab.faults import KINDS, Places, plan_faults, roles_of

CALLER = {"ways": [["g2", "v2", "rp2"], ["g", "v", "rp"]], "points": [], "stores": []}
CALLEE = {
    "ways": [["h", "w", "m", "rp"]],
    "points": [["p", "m"]],
    "stores": [["s", "g"]],
}


def test_each_position_has_its_turn_with_each_kind():
    faults = plan_faults(32, 2, KINDS, seed=1)
    assert {(f.kind, f.role) for f in faults[:16]} == {(k, r) for k in KINDS for r in roles_of(2)}
    assert [(f.kind, f.role) for f in faults[16:]] == [(f.kind, f.role) for f in faults[:16]]
    assert all(0.1 <= f.fraction <= 0.6 for f in faults)


def test_a_seed_says_when():
    assert plan_faults(8, 2, KINDS, seed=1) == plan_faults(8, 2, KINDS, seed=1)
    assert plan_faults(8, 2, KINDS, seed=1) != plan_faults(8, 2, KINDS, seed=2)


def test_the_path_whose_ends_meet_is_struck():
    places = Places.of(CALLER, CALLEE)
    found = [places.relay_at(role) for role in roles_of(2)]
    assert found == ["g", "v", "rp", "m", "w", "h", "p", "s"]


def test_a_relay_of_the_path_is_no_introduction_point_to_strike():
    callee = {**CALLEE, "points": [["m"]], "stores": [["g", "rp"]]}
    places = Places.of(CALLER, callee)
    assert places.relay_at("introduction point") is None
    assert places.relay_at("descriptor's store") is None


def test_three_relays_at_level_1():
    caller = {"ways": [["e", "x"]], "points": [], "stores": []}
    callee = {"ways": [["f", "x"]], "points": [["p"]], "stores": [["s"]]}
    places = Places.of(caller, callee)
    assert [places.relay_at(role) for role in roles_of(1)[:3]] == ["e", "x", "f"]


@pytest.mark.parametrize("level", [1, 2])
def test_nobody_is_struck_while_no_path_stands(level):
    places = Places.of({"ways": [], "points": [], "stores": []}, {**CALLEE, "ways": []})
    assert {places.relay_at(role) for role in roles_of(level)[:3]} == {None}
