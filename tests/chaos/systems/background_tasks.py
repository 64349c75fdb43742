"""FastAPI's BackgroundTasks, as its tutorial shows them: added to what runs after the answer.

They know no retries, so the task brings its own: what it loses, it loses by its process's end.
"""

import asyncio

from fastapi import BackgroundTasks, FastAPI
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from tests.chaos import shop, terms
from tests.chaos.orders import Order

app = FastAPI()


@app.post("/orders", status_code=201)
def place(order: Order, background: BackgroundTasks) -> None:
    with Session(shop.engine) as session, session.begin():
        shop.keep(session, order)
    background.add_task(do, order)


async def do(order: Order) -> None:
    """The order's job, tried as often as in the other systems."""
    for attempt in range(1, terms.ATTEMPTS + 1):
        try:
            return await run_in_threadpool(fulfil, order, attempt)
        except Exception:  # noqa: BLE001 - whatever went wrong, the next attempt is the remedy
            pause = terms.FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1)
            await asyncio.sleep(min(pause, terms.LONGEST_PAUSE_SECONDS))
    return None


def fulfil(order: Order, attempt: int) -> None:
    shop.work(order, attempt)
    if order.is_stored:
        with Session(shop.engine) as session, session.begin():
            shop.store(session, order)
    if order.is_called:
        shop.call(order, order.key)
