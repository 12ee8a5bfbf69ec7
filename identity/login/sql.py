"""The store in a database (SPEC 21.3)."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from peerstream.identity.login import tables
from peerstream.identity.login.database import Database
from peerstream.identity.login.store import Rotation, SealedKey, Session, Token, Use

_SWEPT: Final[tuple[tuple[Table, Any], ...]] = (
    (tables.nonces, tables.nonces.c.digest),
    (tables.tokens, tables.tokens.c.digest),
    (tables.sessions, tables.sessions.c.id),
    (tables.keys, tables.keys.c.number),
)


class SqlStore:
    """Keeps sessions in the tables that ``migrate.upgrade`` made; all replicas share them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def spend_nonce(self, digest: bytes, expires_at: int) -> bool:
        """Note that a nonce was used; the primary key lets one transaction of all replicas win."""
        try:
            with self._database.write() as connection:
                connection.execute(
                    insert(tables.nonces), {"digest": digest, "expires_at": expires_at}
                )
        except IntegrityError:
            return False
        return True

    def open_session(self, session: Session, tokens: Sequence[Token]) -> None:
        """Keep a new session and its tokens."""
        with self._database.write() as connection:
            connection.execute(
                insert(tables.sessions),
                {
                    "id": session.id,
                    "account": session.account,
                    "chain_id": str(session.chain_id),
                    "kind": session.kind,
                    "proof": session.proof,
                    "created_at": session.created_at,
                    "checked_at": session.checked_at,
                    "expires_at": session.expires_at,
                },
            )
            _add_tokens(connection, tokens)

    def find(self, digest: bytes, use: Use, now: int) -> Session | None:
        """Return the session of a token that counts."""
        token = tables.tokens.c
        return self._one(
            select(tables.sessions)
            .join(tables.tokens)
            .where(token.digest == digest, token.use == int(use), token.expires_at > now)
            .where(token.spent_at.is_(None), tables.sessions.c.expires_at > now)
        )

    def session(self, session_id: str, now: int) -> Session | None:
        """Return a session by its id."""
        column = tables.sessions.c
        return self._one(
            select(tables.sessions).where(column.id == session_id, column.expires_at > now)
        )

    def rotate(self, digest: bytes, tokens: Sequence[Token], now: int) -> Rotation:
        """Spend a refresh token; the update lets one transaction of all replicas win.

        Whoever changes a session locks its row first, so that no two wait for each other.
        """
        column = tables.tokens.c
        with self._database.write() as connection:
            found = connection.execute(
                select(column.session_id, tables.sessions.c.expires_at, column.expires_at)
                .join(tables.sessions)
                .where(column.digest == digest, column.use == int(Use.REFRESH))
                .with_for_update(of=tables.sessions)
            ).first()
            if found is None or now >= min(found[1], found[2]):
                return Rotation.UNKNOWN
            spent = connection.execute(
                update(tables.tokens)
                .where(column.digest == digest, column.spent_at.is_(None))
                .values(spent_at=now)
            )
            if spent.rowcount != 1:
                _end(connection, found[0])
                return Rotation.REUSED
            connection.execute(
                delete(tables.tokens).where(
                    column.session_id == found[0], column.use == int(Use.SESSION)
                )
            )
            _add_tokens(connection, tokens)
        return Rotation.DONE

    def mark_checked(self, session_id: str, now: int) -> None:
        """Note that the contract still stands by the session."""
        with self._database.write() as connection:
            connection.execute(
                update(tables.sessions)
                .where(tables.sessions.c.id == session_id)
                .values(checked_at=now)
            )

    def end(self, session_id: str) -> None:
        """Forget a session; its tokens go with it."""
        with self._database.write() as connection:
            _end(connection, session_id)

    def sessions_of(self, account: str, now: int) -> list[Session]:
        """Return the sessions of an account, newest first."""
        column = tables.sessions.c
        with self._database.read() as connection:
            rows = connection.execute(
                select(tables.sessions)
                .where(column.account == account, column.expires_at > now)
                .order_by(column.created_at.desc(), column.id)
            ).all()
        return [_session(row) for row in rows]

    def forget(self, account: str) -> None:
        """Forget all sessions of an account; their tokens go with them."""
        with self._database.write() as connection:
            connection.execute(delete(tables.sessions).where(tables.sessions.c.account == account))

    def keys(self, now: int) -> list[SealedKey]:
        """Return the signing keys that are not over, oldest first."""
        column = tables.keys.c
        with self._database.read() as connection:
            rows = connection.execute(
                select(tables.keys).where(column.expires_at > now).order_by(column.number)
            ).all()
        return [SealedKey(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name

    def add_key(self, key: SealedKey) -> bool:
        """Keep a signing key; False when another replica was faster."""
        try:
            with self._database.write() as connection:
                connection.execute(
                    insert(tables.keys), {name: getattr(key, name) for name in key.__slots__}
                )
        except IntegrityError:
            return False
        return True

    def sweep(self, now: int, limit: int) -> int:
        """Delete up to so many expired rows of each table; return how many they were."""
        count = 0
        for table, key in _SWEPT:
            with self._database.write() as connection:
                over = select(key).where(table.c.expires_at <= now).limit(limit)
                # the list goes through here: PostgreSQL may plan a subquery with LIMIT badly
                keys = list(connection.execute(over).scalars())
                if keys:
                    count += connection.execute(delete(table).where(key.in_(keys))).rowcount
        return count

    def _one(self, query: Select[Any]) -> Session | None:
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _session(row)


def _add_tokens(connection: Connection, tokens: Sequence[Token]) -> None:
    rows = [
        {
            "digest": token.digest,
            "session_id": token.session_id,
            "use": int(token.use),
            "expires_at": token.expires_at,
            "spent_at": None,
        }
        for token in tokens
    ]
    connection.execute(insert(tables.tokens), rows)


def _end(connection: Connection, session_id: str) -> None:
    connection.execute(delete(tables.sessions).where(tables.sessions.c.id == session_id))


def _session(row: Row[Any]) -> Session:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return Session(**{**values, "chain_id": int(values["chain_id"])})
