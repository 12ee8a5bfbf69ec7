"""The tables of the login database (SPEC 21.3).

No column holds a network address, a mail address, a token or a nonce: of the last two, hashes.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData()

_CHAIN_DIGITS: Final = 78  # a chain id goes up to 2^256, no integer column does

nonces = Table(
    "login_nonces",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Index("login_nonces_expire", "expires_at"),
)

sessions = Table(
    "login_sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account", String(42), nullable=False),
    Column("chain_id", String(_CHAIN_DIGITS), nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("proof", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("checked_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("login_sessions_account", "account"),
    Index("login_sessions_expire", "expires_at"),
)

tokens = Table(
    "login_tokens",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column(
        "session_id",
        String(32),
        ForeignKey("login_sessions.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("use", SmallInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("spent_at", BigInteger, nullable=True),
    Index("login_tokens_session", "session_id"),
    Index("login_tokens_expire", "expires_at"),
)

keys = Table(
    "login_keys",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("public", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("signs_from", BigInteger, nullable=False),
    Column("signs_until", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)
