"""Runs the migrations on the connection that ``workspace.database`` has opened."""

from alembic import context

if hasattr(context, "config"):  # Alembic runs it; a mere import does nothing
    context.configure(connection=context.config.attributes["connection"])
    with context.begin_transaction():
        context.run_migrations()
