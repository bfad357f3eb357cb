"""Alembic's entry: runs on the connection and in the transaction that `migrate` opened."""

from alembic import context

from longshore.metadata.schema import metadata

connection = context.config.attributes["connection"]
if not connection.in_transaction():
    # Alembic commits what it believes to have begun itself.
    connection.begin()
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
