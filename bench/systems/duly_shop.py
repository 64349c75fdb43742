"""FastAPI and Duly, as `duly api` uses them: the order and its job are one transaction.

There is nobody to identify here, as in the other shops: the routes take any caller.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from bench.systems.duly import DATABASE_URL, NOTHING
from bench.systems.shop import KEEP, Order
from outbox import submit
from outbox.nudge import Nudge
from service.api_keys import Caller
from service.auth import identified
from service.database import Tx, create_engine, create_sessions
from service.transaction import TransactionalRoute

router = APIRouter(route_class=TransactionalRoute)


@router.post("/rows", status_code=201)
async def keep(order: Order, tx: Tx) -> dict[str, int]:
    """The row alone."""
    return {"order": await _keep(tx, order)}


@router.post("/orders", status_code=201)
async def place(order: Order, tx: Tx) -> dict[str, int]:
    """The row and its job."""
    number = await _keep(tx, order)
    await submit(tx, NOTHING(number=number))
    return {"order": number}


async def _keep(tx: Tx, order: Order) -> int:
    number: int = (await tx.scalars(KEEP, {"item": order.item})).one()
    return number


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What the route needs, as `service.app` makes it."""
    engine = create_engine(DATABASE_URL)
    app.state.sessions = create_sessions(engine)
    app.state.nudge = Nudge(DATABASE_URL)
    yield
    await app.state.nudge.close()
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
app.include_router(router)
app.dependency_overrides[identified] = lambda: Caller("bench", "bench", frozenset())
