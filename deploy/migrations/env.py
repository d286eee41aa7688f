"""Runs the migrations on the connection that `shared.db.migrate` opened; its caller holds the lock."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema=context.config.attributes["version_schema"],
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
