"""Nonces that were spent, sessions and their tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "login_nonces",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("login_nonces_expire", "login_nonces", ["expires_at"])
    op.create_table(
        "login_sessions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("account", sa.String(42), nullable=False),
        sa.Column("chain_id", sa.String(78), nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("proof", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("checked_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("login_sessions_account", "login_sessions", ["account"])
    op.create_index("login_sessions_expire", "login_sessions", ["expires_at"])
    op.create_table(
        "login_tokens",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column(
            "session_id",
            sa.String(32),
            sa.ForeignKey("login_sessions.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("use", sa.SmallInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("spent_at", sa.BigInteger, nullable=True),
    )
    op.create_index("login_tokens_session", "login_tokens", ["session_id"])
    op.create_index("login_tokens_expire", "login_tokens", ["expires_at"])


def downgrade() -> None:
    """Drop them, and every session with them."""
    op.drop_table("login_tokens")
    op.drop_table("login_sessions")
    op.drop_table("login_nonces")
