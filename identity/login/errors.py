"""Why a login or a session is refused: one class a cause, one code for clients (SPEC 21.5)."""


class LoginError(Exception):
    """A login or a session does not hold; ``code`` is what the client is told."""

    status = 401
    code = "not-signed-in"


class NotSignedInError(LoginError):
    """The request carries no session, or one that ended: sign in, or refresh."""


class NonceRefusedError(LoginError):
    """The nonce was not given out here, to this browser, or is too old: ask for a new one."""

    code = "invalid-nonce"


class NonceSpentError(LoginError):
    """The nonce was used already: a message was replayed, or two tabs raced. Ask for a new one."""

    code = "nonce-spent"


class RefreshReusedError(LoginError):
    """A refresh token was shown twice: somebody copied it. The whole session is over; sign in."""

    code = "refresh-reused"


class WalletChangedError(LoginError):
    """The contract no longer accepts what opened the session: its owners changed. Sign in."""

    code = "wallet-changed"


class TokenRefusedError(LoginError):
    """The bearer token is no token of ours, or is over: refresh."""

    code = "invalid-token"


class ChainUnreachableError(LoginError):
    """The chain that has to judge a contract's signature does not answer: try again later."""

    status = 503
    code = "chain-unreachable"


class StoreUnavailableError(LoginError):
    """The database does not answer, or has not the tables: look at it; nothing was decided."""

    status = 503
    code = "store-unavailable"


class LoginSettingsError(ValueError):
    """The service is set up in a way that cannot be safe: the message says what to change."""
