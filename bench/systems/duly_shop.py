"""FastAPI and Duly, as docs/your-app.md has it: order and job are one transaction."""

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import create_async_engine

from bench.systems.duly import DATABASE_URL, NOTHING
from bench.systems.shop import CONNECTIONS, KEEP, Order
from outbox import job_sessions, submit
from outbox.postgres.address import sqlalchemy_url

engine = create_async_engine(sqlalchemy_url(DATABASE_URL), pool_size=CONNECTIONS)
sessions = job_sessions(engine)
app = FastAPI()


@app.post("/rows", status_code=201)
async def keep(order: Order) -> dict[str, int]:
    """The row alone."""
    async with sessions.begin() as session:
        number: int = (await session.scalars(KEEP, {"item": order.item})).one()
    return {"order": number}


@app.post("/orders", status_code=201)
async def place(order: Order) -> dict[str, int]:
    """The row and its job."""
    async with sessions.begin() as session:
        number: int = (await session.scalars(KEEP, {"item": order.item})).one()
        submit(session, NOTHING(number=number))
    return {"order": number}
