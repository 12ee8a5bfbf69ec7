"""A rate with a burst (SPEC 4.9)."""


class TokenBucket:
    """`rate` tokens a second, at most `burst` at once; starts full."""

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at = now

    def tokens(self, now: float) -> float:
        """Tokens there are at `now`."""
        if now > self._filled_at:
            gained = (now - self._filled_at) * self._rate
            self._tokens = min(self._burst, self._tokens + gained)
            self._filled_at = now
        return self._tokens

    def wait(self, now: float) -> float:
        """Return after how many seconds there is a token."""
        return max(0.0, 1.0 - self.tokens(now)) / self._rate

    def keep(self, most: float, now: float) -> None:
        """Give up what is there beyond `most` tokens."""
        self._tokens = min(most, self.tokens(now))

    def owe(self, amount: float, now: float) -> None:
        """Take `amount` tokens whether they are there or not; the debt is at most one burst."""
        self._tokens = max(-self._burst, self.tokens(now) - amount)

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take `amount` tokens if there are so many."""
        if self.tokens(now) < amount:
            return False
        self._tokens -= amount
        return True
