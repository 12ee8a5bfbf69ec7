"""The one who guesses: it finds what is there, and is a coin where nothing is."""

import random

import pytest

from tests.games.distinguisher import Distinguisher, chance, most_right
from tests.games.view import Event, Layout

WIDTH = 5_000


def played(rounds, view):
    """A distinguisher that saw `view(random, truth)` as often."""
    source, distinguisher = random.Random(1), Distinguisher()
    for _ in range(rounds):
        truth = source.randrange(2)
        distinguisher.play(view(source, truth), WIDTH, truth)
    return distinguisher


def test_noise_says_nothing():
    score = played(400, lambda source, _truth: source.getrandbits(WIDTH))
    assert chance(score.right, 400) > 0.01


@pytest.mark.parametrize("inverted", [0, 1])
def test_one_bit_among_thousands_is_found(inverted):
    def view(source, truth):
        noise = source.getrandbits(WIDTH) & ~(1 << 3_210)
        return noise | (truth ^ inverted) << 3_210

    score = played(60, view)
    assert score._leader == (3_210, inverted)
    assert score.right > most_right(60, 1e-6)


def test_so_is_one_that_is_right_in_three_rounds_of_four():
    def view(source, truth):
        noise = source.getrandbits(WIDTH) & ~(1 << 77)
        return noise | (truth ^ (source.random() < 0.25)) << 77

    score = played(400, view)
    assert score._leader == (77, 0)
    assert score.right > most_right(400, 1e-6)


def test_a_bit_that_appears_late_was_zero_before():
    distinguisher, source = Distinguisher(), random.Random(2)
    for number in range(60):
        truth = source.randrange(2)
        width = 100 if number < 5 else 200
        distinguisher.play(truth << 150 if width == 200 else 0, width, truth)
    assert distinguisher._leader[0] == 150 or distinguisher.right > 50


def test_the_bound_is_that_of_fair_coins():
    for rounds in (10, 100, 501):
        most = most_right(rounds, 1e-3)
        assert chance(most + 1, rounds) <= 1e-3 < chance(most, rounds)
    assert chance(0, 10) == 1.0
    assert chance(10, 10) == 1 / 1_024


def event(circuit, data, *, phase=1, kind=3):
    return Event(phase, "guard", True, kind, circuit, data)


def test_equal_events_of_two_rounds_stand_in_equal_places():
    layout = Layout()
    one = layout.view([event(900, b"ab"), event(17, b"cd")])
    width = layout.width
    two = layout.view([event(3, b"ab"), event(8, b"cd")])
    assert one == two
    assert layout.width == width


def test_order_number_and_bytes_are_told_apart():
    layout = Layout()
    views = [
        [event(1, b"ab"), event(2, b"cd", kind=1)],
        [event(2, b"cd", kind=1), event(1, b"ab")],
        [event(1, b"ab"), event(1, b"ab"), event(2, b"cd", kind=1)],
        [event(1, b"aB"), event(2, b"cd", kind=1)],
    ]
    assert len({layout.view(view) for view in views}) == 4
