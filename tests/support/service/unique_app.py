"""An app whose kinds are unique."""

from datetime import timedelta

from pydantic import BaseModel

from outbox import Actors, Duly, Kind, Kinds, Unique, Until, actor
from outbox.job import Job


class Customer(BaseModel):
    """Whose books are done."""

    customer_id: int
    note: str = ""


SYNC = Kind("books.sync", Customer, queue="books", unique=Unique("customer_id"))
CLOSE = Kind(
    "books.close", Customer, queue="books", unique=Unique("customer_id", until=Until.ENDED)
)
REMIND = Kind(
    "books.remind", Customer, queue="books", unique=Unique("customer_id", within=timedelta(days=1))
)
SEARCH = Kind(
    "books.search",
    Customer,
    queue="books",
    unique=Unique("customer_id", debounce=timedelta(seconds=10), cap=timedelta(minutes=1)),
)
KINDS = Kinds(SYNC, CLOSE, REMIND, SEARCH)


@actor(SYNC)
def sync(customer: Customer, _job: Job) -> dict[str, str]:
    """Say what it read."""
    return {"note": customer.note}


duly = Duly(KINDS, Actors([sync]), open_kinds=KINDS)
