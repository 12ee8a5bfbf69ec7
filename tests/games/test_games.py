"""The games of tests/games, few rounds; and that they find leaks which are planted on purpose."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peerstream.node.protocol.onion.layer import Layer
from peerstream.node.protocol.wire.command import Command
from tests.games.distinguisher import most_right
from tests.games.linkage import CALLEES, CALLERS, GameCaller, LinkageGame
from tests.games.tagging import DEEDS, TaggingGame

ERROR = 1e-7  # that a coin exceeds the bound


def told(game):
    """Keys of the scores that no coin has."""
    return {key for key, s in game.scores.items() if s.right > most_right(s.rounds, ERROR)}


@pytest.mark.parametrize("level", [1, 2])
def test_a_few_rounds_of_linkage(level):
    game = LinkageGame(level, seed=1)
    game.play(40)
    assert told(game) == set()
    assert {score.rounds for score in game.scores.values()} == {40}


class TalkativeCaller(GameCaller):
    """Its cookies say who it is."""

    def draw_cookie(self):
        mark = b"\x01" if self.party.name == CALLERS[0] else b"\x00"
        return mark + super().draw_cookie()[1:]


class LeakyGame(LinkageGame):
    """Callers call one of the callees in another way than the other."""

    def new_caller(self, name):
        caller = TalkativeCaller(self.street, name)
        caller.point = super().new_caller(name).point
        return caller

    def call(self, caller, callee):
        super().call(caller, callee)
        if callee.party.name == CALLEES[0]:
            circuit = next(c for c in caller.node.circuits if len(c.path) == 3)
            circuit.send_control(Command.PAD_DROP, b"", 2)
            caller.network.run()


def test_planted_leaks_are_told():
    """A cookie is read by who keeps it; one cell more is seen all along the way."""
    game = LeakyGame(2, seed=1)
    game.play(80)
    assert told(game) == {
        ("caller's guard", "callee"),
        ("caller's vanguard", "callee"),
        ("rendezvous point", "callee"),
        ("rendezvous point", "caller"),
    }


@pytest.mark.parametrize("deed", DEEDS)
def test_no_relay_and_no_end_tells_one_mark_from_another(deed):
    game = TaggingGame(deed, seed=1)
    game.play(500)
    assert told(game) == set()
    assert sum(score.rounds for score in game.scores.values()) > 500 * 4


def malleable(layer, cell, out):
    """A layer of a stream alone: what is flipped in it is flipped behind it."""
    number = layer._cells.to_bytes(12, "big")
    layer._cells += 1
    out[: len(cell)] = AESGCM(layer._keys[:32]).encrypt(number, bytes(cell), None)[: len(cell)]
    return bytes(out[:16])


def test_a_layer_that_lets_bits_through_is_told(monkeypatch):
    monkeypatch.setattr(Layer, "encipher", malleable)
    monkeypatch.setattr(Layer, "decipher", malleable)
    game = TaggingGame("flip", seed=1)
    game.play(240)
    assert told(game) >= {"caller", "callee"}
