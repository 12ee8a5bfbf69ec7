"""Guesses a hidden bit from views: every bit of them is a candidate, and the best so far decides.

A view is one large integer, laid out alike in each round (`view.Layout`). For each of its bits we
count in how many rounds it was equal to the hidden bit. The counts of all bits together are kept
as planes: plane k holds bit k of every count, so that one addition of large integers counts for
all of them.

Each guess is made before its truth is told. If views say nothing, each is right with probability
1/2 whatever was learned before, and the number of right ones is binomial: no share of the rounds
is kept back for learning, and no choice among a million candidates is paid for twice.
"""

import math

OFTEN = 48  # learn anew after each of so many rounds, then
SELDOM = 16  # after as many each


class Distinguisher:
    """Plays one game; `right` of `rounds` guesses were right."""

    def __init__(self):
        self.rounds = 0
        self.right = 0
        self._zeros = 0  # rounds in which the hidden bit was 0
        self._width = 0
        self._planes = []
        self._leader = None

    def play(self, view, width, truth):
        """Guess the hidden bit of one round, then be told it."""
        self.right += self._guess(view) == truth
        self.rounds += 1
        self._learn(view, width, truth)

    def _guess(self, view):
        if self._leader is None:
            return 0
        place, inverted = self._leader
        return (view >> place & 1) ^ inverted

    def _learn(self, view, width, truth):
        self._widen(width)
        everything = (1 << width) - 1
        self._add(view if truth else view ^ everything)
        self._zeros += not truth
        if self.rounds <= OFTEN or self.rounds % SELDOM == 0:
            self._leader = self._best(everything)

    def _widen(self, width):
        """A bit that never was there before was 0, and so right whenever the truth was 0."""
        new = (1 << width) - (1 << self._width)
        self._width = width
        for number, plane in enumerate(self._planes):
            if self._zeros >> number & 1:
                self._planes[number] = plane | new

    def _add(self, carry):
        for number, plane in enumerate(self._planes):
            self._planes[number] = plane ^ carry
            carry &= plane
        if carry:
            self._planes.append(carry)

    def _best(self, everything):
        """The bit that was right most often, or wrong, as (place, inverted)."""
        most, place = _largest(self._planes, everything)
        fewest, other = _largest([plane ^ everything for plane in self._planes], everything)
        wrong = fewest - (1 << len(self._planes)) + 1 + self.rounds
        return (place, 0) if most >= wrong else (other, 1)


def _largest(planes, candidates):
    """The largest count and the place of the first bit that has it."""
    count = 0
    for number, plane in reversed(list(enumerate(planes))):
        if plane & candidates:
            candidates &= plane
            count |= 1 << number
    return count, (candidates & -candidates).bit_length() - 1


def chance(right, rounds):
    """The probability of so many right guesses or more, if each is a fair coin."""
    ways = sum(math.comb(rounds, each) for each in range(right, rounds + 1))
    return ways / 2**rounds


def most_right(rounds, error):
    """The most right guesses that a fair coin exceeds with a probability of at most `error`."""
    ways, right = 0, rounds
    while (ways := ways + math.comb(rounds, right)) / 2**rounds <= error:
        right -= 1
    return right
