"""Every migration up and down, with rows in the tables."""

import pytest
from sqlalchemy import create_engine, inspect, text

from peerstream.identity.login import migrate, tables
from peerstream.identity.login.database import Database
from peerstream.identity.login.errors import LoginSettingsError, StoreUnavailableError
from peerstream.identity.login.sql import SqlStore
from tests.identity.login.world import World


@pytest.fixture
def database(tmp_path):
    opened = Database(f"sqlite:///{tmp_path}/login.db")
    yield opened
    opened.close()


def shape(engine):
    """Tables, columns, indexes and foreign keys."""
    found = inspect(engine)
    return {
        name: (
            sorted((c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)),
            sorted((i["name"], tuple(i["column_names"])) for i in found.get_indexes(name)),
            sorted(tuple(k["constrained_columns"]) for k in found.get_foreign_keys(name)),
            found.get_pk_constraint(name)["constrained_columns"],
        )
        for name in found.get_table_names()
        if name != "login_version"
    }


def test_the_history_ends_in_the_tables_that_the_code_uses(database, tmp_path):
    migrate.upgrade(database)
    made = create_engine(f"sqlite:///{tmp_path}/made.db")
    tables.metadata.create_all(made)
    assert shape(database.engine) == shape(made)
    made.dispose()
    assert migrate.current(database) == migrate.revisions()[-1]


def test_each_step_goes_up_and_down_with_rows_in_the_tables(database):
    steps = ["base", *migrate.revisions()]
    shapes = {}
    for step in steps[1:]:
        migrate.upgrade(database, step)
        shapes[step] = shape(database.engine)
    browser = World(SqlStore(database)).browser()
    browser.sign_in()
    for step in steps[-2::-1]:
        migrate.downgrade(database, step)
        assert shape(database.engine) == shapes.get(step, {})
        assert migrate.current(database) == (None if step == "base" else step)
    migrate.upgrade(database)
    again = World(SqlStore(database)).browser()
    again.sign_in()
    assert again.http.get("/hello").is_success


def test_sessions_survive_the_loss_of_the_keys_table(database):
    migrate.upgrade(database)
    browser = World(SqlStore(database)).browser()
    browser.sign_in()
    migrate.downgrade(database, "0001")
    migrate.upgrade(database)
    later = World(SqlStore(database)).browser()
    later.http.cookies = browser.http.cookies
    for name, value in browser.http.cookies.items():
        later.http.cookies.set(name, value)
    assert later.http.get("/hello").is_success


def test_a_migration_that_fails_changes_nothing(database):
    with database.write() as connection:
        connection.execute(text("CREATE TABLE login_tokens (mine integer)"))
    with pytest.raises(StoreUnavailableError) as caught:
        migrate.upgrade(database)
    assert "login_tokens" in str(caught.value.__cause__)
    assert set(shape(database.engine)) == {"login_tokens"}
    assert migrate.current(database) is None


@pytest.mark.parametrize("url", ["mysql://x", "sqlite+aiosqlite:///x", "postgresql://x", "/x", ""])
def test_other_databases_are_refused(url):
    with pytest.raises(LoginSettingsError):
        Database(url)
