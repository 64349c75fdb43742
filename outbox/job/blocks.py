"""How an actor enters its job's blocks: by `with`, or by `async with`."""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session


class Block:
    """Entered by `with` in a `def` actor, and by `async with` in an `async def` one.

    They yield a Session and an AsyncSession. The wrong one raises RuntimeError at once.
    """

    def __init__(
        self,
        blocking: AbstractContextManager[Session] | None,
        awaiting: AbstractAsyncContextManager[AsyncSession] | None,
    ) -> None:
        self._blocking = blocking
        self._awaiting = awaiting

    def __enter__(self) -> Session:
        if self._blocking is None:
            raise RuntimeError("an `async def` actor enters this by `async with`")
        return self._blocking.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._blocking is not None:
            self._blocking.__exit__(kind, error, trace)

    async def __aenter__(self) -> AsyncSession:
        if self._awaiting is None:
            raise RuntimeError("a `def` actor enters this by `with`")
        return await self._awaiting.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._awaiting is not None:
            await self._awaiting.__aexit__(kind, error, trace)
