"""Writes after the answer what nobody waits for, best effort."""

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

LONGEST_SECONDS = 2
"""How long one write may take, and keep a connection from requests."""

P = ParamSpec("P")


class LateWrites:
    """Single statements, each by itself on a connection of the pool. For BackgroundTasks."""

    def __init__(self, engine: AsyncEngine) -> None:
        # Without a transaction a write is one round trip, and then the connection is free again.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def write(
        self, write: Callable[Concatenate[Session, P], None], *args: P.args, **kwargs: P.kwargs
    ) -> str | None:
        """Call `write`, which executes one statement; returns the type of the error, if any.

        It is written when this returns None. If the process dies before or during this, it is not.
        """
        try:
            async with asyncio.timeout(LONGEST_SECONDS), AsyncSession(self._engine) as session:
                await session.run_sync(write, *args, **kwargs)
        except (SQLAlchemyError, TimeoutError) as error:
            return type(error).__qualname__
        return None
