"""Alembic migrations. Expand first, contract in a later release; never wait long for a lock."""
