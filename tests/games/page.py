"""docs/evidence/games.md, from games that were played."""

from tests.games.distinguisher import most_right
from tests.games.tagging import WAY

ERROR = 1e-4  # that coins alone exceed the bound somewhere in all the games of a run
HEAD = """\
# Games that a relay should not win

`make prove-games` plays these and writes this page: whole calls on the real machines of the
protocol, in memory, against a relay that keeps everything it sees (SPEC 15.6 says what `psp audit`
leaves to statistics). Seed {seed}, {rounds} rounds a game, {tables} scores.

The distinguisher takes the whole view of one relay: each frame with its header, in order, with
circuit ids and sizes, what it found in SETUPs and behind its own layers (of a large frame all of
the first 2 048 bytes and every sixteenth of the rest). Each bit of it, and each mark of order and
number, is a candidate; the one that was right most often so far makes the next guess, before its
truth is told. If views say nothing, the right guesses of a game are those of a fair coin. The bound
is what such coins exceed, in *any* of the scores here, once in ten thousand runs.

{verdict}
"""
LINKAGE = """
## Linkage

Two callers, two callees, two calls, through the same relays. Drawn are which caller is first, which
callee is, and so whether the first pair talk with each other. A relay that serves a party knows
that one; it must not tell the others. Both calls are of one level and class and carry as many bytes
at the same pace: time and volume are not in this game (see *Not defended* in
[attacks](../attacks.md)).

| level | place | must not tell | right | of | share | bound |
|---|---|---|---|---|---|---|
"""
TAGGING = """
## Tagging

One relay of the way changes a cell, the others beyond the next honest one, and the ends, try to
tell which of two changes it was: one bit or another (*flip*), one earlier cell or another in its
place (*replay*). The cells are known to all of them. That something was changed can be seen, as a
circuit that was cut can; what it was cannot.

| deed | judge | right | of | share | bound |
|---|---|---|---|---|---|
"""
FOOT = """
Leaks that are planted on purpose are found, else this proves nothing: a caller that sends one
cell more to one of the callees, cookies that begin with their caller's mark, a layer that lets a
flipped bit through (`tests/games/test_games.py::test_planted_leaks_are_told`,
`tests/games/test_games.py::test_a_layer_that_lets_bits_through_is_told`). A bit that is right in
three rounds of four is found within 200 rounds; one that is right in 55 of 100 is not found in
{rounds}. Functions of several bits together are not tried, and every relay plays alone. CI plays
500 rounds of each: `tests/system/test_games.py::test_no_single_relay_tells_who_calls_whom`,
`tests/games/test_games.py::test_no_relay_and_no_end_tells_one_mark_from_another`.
"""


def places(linkage):
    """(level, place, secret, score) of linkage games by level."""
    for level, game in linkage.items():
        for (place, secret), score in game.scores.items():
            yield level, place, secret, score


def bounds(linkage, tagging):
    """The bound for each score, by the score."""
    scores = [score for *_, score in places(linkage)]
    scores += [score for game in tagging.values() for score in game.scores.values()]
    return {score: most_right(score.rounds, ERROR / len(scores)) for score in scores}


def page(linkage, tagging, *, rounds, seed):
    """The page, and whether every score is within its bound."""
    limits = bounds(linkage, tagging)
    beyond = [score for score, most in limits.items() if score.right > most]
    verdict = (
        f"**{len(beyond)} scores are beyond their bound.**"
        if beyond
        else f"**All {len(limits)} scores are within their bound.**"
    )
    text = HEAD.format(seed=seed, rounds=rounds, tables=len(limits), verdict=verdict) + LINKAGE
    for level, place, secret, score in places(linkage):
        text += _row((level, place, secret), score, limits[score])
    text += TAGGING
    for deed, game in tagging.items():
        for name in WAY:
            text += _row((deed, name), game.scores[name], limits[game.scores[name]])
    return text + FOOT.format(rounds=rounds), not beyond


def _row(names, score, most):
    share = f"{100 * score.right / score.rounds:.1f} %"
    bound = f"{100 * most / score.rounds:.1f} %"
    cells = (*names, score.right, score.rounds, share, bound)
    return "| " + " | ".join(map(str, cells)) + " |\n"
