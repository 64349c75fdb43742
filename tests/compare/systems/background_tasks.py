"""FastAPI's BackgroundTasks: added to what runs after the answer, in the process of the API."""

from fastapi import BackgroundTasks, FastAPI
from sqlalchemy.orm import Session

from tests.compare.systems.shop import NewOrder, Order, check, engine, give_receipt

app = FastAPI()


@app.post("/orders", status_code=201)
def place(order: NewOrder, background: BackgroundTasks) -> None:
    with Session(engine) as session, session.begin():
        session.add(Order(id=order.id))
    background.add_task(give_receipt, order.id, key=f"order-{order.id}")


@app.post("/orders/checked", status_code=201)
def place_and_check(order: NewOrder, background: BackgroundTasks) -> None:
    with Session(engine) as session, session.begin():
        session.add(Order(id=order.id))
        background.add_task(give_receipt, order.id, key=f"order-{order.id}")
        check(order)
