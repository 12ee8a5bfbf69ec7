"""What alembic runs for each command: on the connection that ``migrate`` opened."""

from alembic import context

from peerstream.identity.login.tables import metadata

options = context.config.attributes
context.configure(
    connection=options["connection"],
    target_metadata=metadata,
    version_table=options["version_table"],
    transactional_ddl=True,
)
context.run_migrations()
