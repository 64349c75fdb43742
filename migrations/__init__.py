"""The service's Alembic migrations: run migrates a database, env configures Alembic for it.

Expand first, contract in a later release. Never wait long for a lock.
"""
