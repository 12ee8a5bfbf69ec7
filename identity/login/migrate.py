"""Bringing a database to a version of the tables and back (SPEC 21.3)."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select

from peerstream.identity.login.database import Database

_PLACE: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 0x70_73_70_6C_6F_67_69_6E  # "psplogin": nobody else's number
_VERSION_TABLE: Final = "login_version"  # beside the tables of the application that embeds us


def upgrade(database: Database, revision: str = "head") -> None:
    """Make or change the tables up to a revision, in one transaction."""
    _run(database, command.upgrade, revision)


def downgrade(database: Database, revision: str) -> None:
    """Take changes back down to a revision, or ``base`` for all of them."""
    _run(database, command.downgrade, revision)


def current(database: Database) -> str | None:
    """Return the revision that a database has, or None for an empty one."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": _VERSION_TABLE})
        return context.get_current_revision()


def revisions() -> list[str]:
    """Return all revisions, first to last."""
    walk = ScriptDirectory.from_config(_config()).walk_revisions()
    return [script.revision for script in walk][::-1]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_PLACE))
    return config


def _run(database: Database, act: Callable[[Config, str], None], revision: str) -> None:
    config = _config()
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            # replicas that start together wait for the first, in this transaction
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        config.attributes["connection"] = connection
        config.attributes["version_table"] = _VERSION_TABLE
        act(config, revision)
