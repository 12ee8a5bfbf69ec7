"""Opening the login database: SQLite by default, PostgreSQL for replicas (SPEC 21.3)."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from peerstream.identity.login.errors import LoginSettingsError, StoreUnavailableError

_BUSY_S: Final = 10.0
_POOL: Final = 8
# WAL: readers and the writer do not wait for one another. NORMAL: a killed process loses nothing,
# a loss of power at most the last moments. secure_delete: what is forgotten is overwritten.
_PRAGMAS: Final = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON")


class Database:
    """An engine, and one way to write: SQLite has one writer, PostgreSQL as many as come.

    url: ``sqlite:////path/login.db`` or ``postgresql+psycopg://...``; others raise
    LoginSettingsError.
    """

    def __init__(self, url: str) -> None:
        kind = url.partition(":")[0]
        if kind not in ("sqlite", "postgresql+psycopg"):
            raise LoginSettingsError("the database is sqlite:/// or postgresql+psycopg://")
        self._is_sqlite = kind == "sqlite"
        options: dict[str, Any] = {"pool_size": _POOL, "max_overflow": 2 * _POOL}
        if self._is_sqlite:
            # one Python lock in front of SQLite's own, which waits by asking again
            self._writing: AbstractContextManager[Any] = threading.Lock()
            options["connect_args"] = {
                "timeout": _BUSY_S,
                "check_same_thread": False,
                "isolation_level": None,
            }
        else:
            self._writing = nullcontext()
            options["pool_pre_ping"] = True
        self.engine: Final = create_engine(url, hide_parameters=True, **options)
        if self._is_sqlite:
            event.listen(self.engine, "connect", _prepare)
            event.listen(self.engine, "begin", _begin)
        self._reader: Final[Engine] = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in one transaction, committed at the end.

        Raises StoreUnavailableError when the database does not answer.
        """
        with _named(), self._writing, self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection for single reads; raises StoreUnavailableError."""
        with _named(), self._reader.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except (OperationalError, ProgrammingError, InterfaceError, PoolTimeoutError) as error:
        # its text may name hosts and hold statements
        raise StoreUnavailableError("the database does not answer as it should") from error


def _prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    # A transaction that reads first and then writes would find the file locked at its second step.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
