"""The routers in an app of somebody else's, below a prefix and without Duly's middleware."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import psycopg
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy.orm import Session

from outbox import submit
from outbox.http import JobSummary, Submitter, TransactionalRoute, Tx
from outbox.http.platform import running
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from service.jobs import duly
from service.mail.kinds import SEND_EMAIL
from service.settings import Settings
from service.subjects import NEW_JOBS
from tests.integration.http import raw
from tests.support.service import lives
from tests.support.service.serving import serve_app

MAIL: Any = NEW_JOBS["a mail"]["value"]
own = APIRouter(route_class=TransactionalRoute)


@own.post("/v1/orders")
async def create_order(tx: Tx, _: Submitter) -> JobSummary:
    """A route of the app's own, whose path has a version too."""
    work = SEND_EMAIL(to="ada@example.com", subject="Order", text="Thank you.")
    return JobSummary.brief(submit(tx, work))


def plain_app(settings: Settings, prefix: str) -> FastAPI:
    """FastAPI as anybody would have it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(app, duly.setup(settings)):
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(own)
    app.include_router(duly.router(), prefix=prefix)
    app.get("/")(lambda: {"shop": "open"})
    return app


@pytest.fixture
def key(session: Session) -> str:
    """A key that may do everything."""
    made = api_keys.create(session, "test", [Scope.ADMIN], by="ops")
    session.commit()
    return made


@pytest.fixture
def ops(settings: Settings, key: str) -> Iterator[httpx2.Client]:
    """A client of an app that has the library's routes below `/ops`."""
    with serve_app(plain_app(settings, "/ops")) as address, _client(address, key) as client:
        yield client


def test_location_and_links_have_the_prefix(
    ops: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = ops.post("/ops/v1/jobs", json=MAIL)
    location = made.headers["location"]
    assert location == f"/ops/v1/jobs/{made.json()['id']}" == made.json()["links"]["self"]
    children = {"children": f"/ops/v1/jobs?parent={made.json()['id']}"}
    assert ops.get(location).json()["links"] == made.json()["links"] | children
    assert ops.get(children["children"]).json()["jobs"] == []
    assert ops.get("/ops/v1/jobs").json()["jobs"][0]["links"] == made.json()["links"] | children

    sql_now.execute("UPDATE duly.jobs SET run_at = now() - interval '1 day'")
    (late,) = ops.get("/ops/v1/overdue-jobs").json()["overdue_jobs"]
    assert late["links"]["self"] == location

    lives.die(sql_now, lives.claim(sql_now, made.json()["id"]))
    (letter,) = ops.get("/ops/v1/dead-letters").json()["dead_letters"]
    assert letter["links"]["job"] == location
    assert ops.get(letter["links"]["self"]).json()["links"] == letter["links"]
    assert ops.post(letter["links"]["replay"]).status_code == 200


def test_a_route_of_the_apps_own_links_to_the_job_below_the_prefix(ops: httpx2.Client) -> None:
    job = ops.post("/v1/orders").json()

    assert ops.get(job["links"]["self"]).json()["id"] == job["id"]


def test_the_type_of_every_problem_leads_to_its_meaning(ops: httpx2.Client) -> None:
    answers = [
        *(ops.get(f"/ops{path}") for path in ("/v1/jobs?stat=dead", "/healthz?x=1", "/problems/x")),
        *(ops.post("/ops/v1/jobs", content=body) for body in ("{}", "")),
        httpx2.get(f"{ops.base_url}/ops/v1/jobs"),
    ]
    for answer in answers:
        problem = answer.json()
        assert problem["type"].startswith("/ops/problems/")
        assert ops.get(problem["type"]).json()["status"] == answer.status_code


def test_the_index_names_the_apps_own_documentation_and_its_root_stays(
    ops: httpx2.Client,
) -> None:
    links = ops.get("/ops/v1").json()["links"]

    assert (links["docs"], links["openapi"]) == ("/docs", "/openapi.json")
    for path in links.values():
        assert ops.get(path).status_code == 200, path
    assert ops.get("/").json() == {"shop": "open"}


def test_behind_a_proxy_that_strips_a_path_links_have_that_too(
    settings: Settings, key: str
) -> None:
    app = serve_app(plain_app(settings, "/ops"), root_path="/shop")
    with app as address, _client(address, key) as client:
        made = client.post("/ops/v1/jobs", json=MAIL)
        index = client.get("/ops/v1").json()["links"]

    assert made.headers["location"] == f"/shop/ops/v1/jobs/{made.json()['id']}"
    assert (index["docs"], index["jobs"]) == ("/shop/docs", "/shop/ops/v1/jobs")


def test_a_prefix_with_parameters_is_in_the_links(settings: Settings, key: str) -> None:
    with serve_app(plain_app(settings, "/{shop}")) as address, _client(address, key) as client:
        made = client.post("/berlin/v1/jobs", json=MAIL)

        assert made.headers["location"] == f"/berlin/v1/jobs/{made.json()['id']}"
        assert client.get("/berlin/v1").json()["links"]["jobs"] == "/berlin/v1/jobs"


@pytest.mark.parametrize("path", ["/ops/v1/jobs", "/v1/orders"])
@pytest.mark.parametrize("excess", [0, 1])
def test_a_body_is_limited_without_the_middleware(
    ops: httpx2.Client, settings: Settings, path: str, excess: int
) -> None:
    body = b" " * (settings.largest_body + excess)

    declared = ops.post(path, content=body)
    streamed = ops.post(path, content=iter([body[:1000], body[1000:]]))

    for answer in (declared, streamed):
        assert (answer.status_code == 413) == bool(excess)
    if excess:
        assert declared.json()["type"] == streamed.json()["type"] == "/ops/problems/too-large"


def test_a_body_without_end_is_refused_when_it_passes_the_limit(
    ops: httpx2.Client, settings: Settings
) -> None:
    key = f"Authorization: {ops.headers['authorization']}"
    with raw.connect(ops) as connection:
        connection.sendall(raw.head("POST /ops/v1/jobs", key, "Transfer-Encoding: chunked"))
        chunk = b" " * 10_000
        for _ in range(settings.largest_body // len(chunk) + 1):
            connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))

        assert raw.status(connection) == 413  # the last chunk was never sent


def _client(address: str, key: str) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.Client(base_url=address, headers=headers, timeout=30)
