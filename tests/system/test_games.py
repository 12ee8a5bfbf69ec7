"""The linkage game at its full length (docs/evidence/games.md)."""

import pytest

from tests.games.distinguisher import most_right
from tests.games.linkage import LinkageGame

ROUNDS = 500
ERROR = 1e-4


@pytest.mark.parametrize("level", [1, 2])
def test_no_single_relay_tells_who_calls_whom(level):
    game = LinkageGame(level, seed=7)
    game.play(ROUNDS)
    most = most_right(ROUNDS, ERROR / len(game.scores))
    assert {key: score.right for key, score in game.scores.items() if score.right > most} == {}
