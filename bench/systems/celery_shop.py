"""FastAPI and Celery, as its users write it: commit, then `delay`."""

from fastapi import FastAPI
from sqlalchemy.orm import Session

from bench.systems.celery import nothing
from bench.systems.shop import KEEP, Order, engine

app = FastAPI()


@app.post("/orders", status_code=201)
def place(order: Order) -> dict[str, int]:
    """The row, and then the task."""
    with Session(engine()) as session, session.begin():
        number: int = session.scalars(KEEP, {"item": order.item}).one()
    nothing.delay(number)
    return {"order": number}
