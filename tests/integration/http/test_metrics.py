"""GET /metrics: what the API says of itself, to whom, and what it costs requests."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.orm import Session
from starlette.types import Message, Scope

from outbox.http.metrics.request_meter import RequestMeter
from outbox.http.platform import running
from outbox.metrics.processes import ApiMetrics
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope as KeyScope
from service.jobs import duly
from service.settings import Settings
from service.subjects import KINDS, NEW_JOBS
from tests.integration.http.conftest import MakeClient
from tests.support.network.proxy import Proxy, before
from tests.support.service.serving import serve, serve_app
from tests.support.wait import wait_for

MAIL = NEW_JOBS["a mail"]["value"]
Values = dict[tuple[str, ...], float]


@pytest.fixture
def scraper(client_with: MakeClient) -> httpx2.Client:
    """What Prometheus is, with a key that may do nothing else."""
    return client_with(KeyScope.METRICS)


def values(client: httpx2.Client, name: str) -> Values:
    """The value of each series by its labels, in the order of their names."""
    found = text_string_to_metric_families(client.get("/metrics").raise_for_status().text)
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in found
        for sample in family.samples
        if sample.name == name
    }


def test_requests_are_counted_by_method_route_and_status(
    client: httpx2.Client, scraper: httpx2.Client
) -> None:
    job = client.post("/v1/jobs", json=MAIL).json()
    client.get(f"/v1/jobs/{job['id']}")
    client.get("/v1/jobs/none")
    client.head("/v1/jobs")
    client.get("/v1/jobs", headers={"Authorization": "none"})

    counted = values(scraper, "duly_requests_total")

    assert counted["POST", "/v1/jobs", "202"] == 1
    assert counted["GET", "/v1/jobs/{job_id}", "200"] == 1
    assert counted["GET", "/v1/jobs/{job_id}", "422"] == 1
    assert counted["HEAD", "/v1/jobs", "200"] == 1
    assert counted["GET", "/v1/jobs", "401"] == 1
    assert values(scraper, "duly_request_seconds_count")["GET", "/v1/jobs/{job_id}"] == 2
    assert values(scraper, "duly_requests_total")["GET", "/metrics", "200"] == 2


def test_a_stranger_makes_no_series(client: httpx2.Client, scraper: httpx2.Client) -> None:
    for n in range(20):
        client.get(f"/nowhere/{n}?secret={n}")
        client.request("PROPFIND", f"/v1/jobs?{n}")

    counted = values(scraper, "duly_requests_total")

    assert counted["GET", "unmatched", "404"] == 20
    assert counted["other", "/v1/jobs", "405"] == 20
    assert len(counted) == 2


def test_submitted_jobs_are_counted_by_kind_from_zero(
    client: httpx2.Client, scraper: httpx2.Client
) -> None:
    assert values(scraper, "duly_submitted_total") == {(kind,): 0 for kind in KINDS}
    client.post("/v1/jobs", json=MAIL).raise_for_status()
    assert values(scraper, "duly_submitted_total")["email.send",] == 1


def test_the_pool_the_event_loop_and_postgres_are_seen(scraper: httpx2.Client) -> None:
    pool = values(scraper, "duly_pool_connections")
    assert pool["busy",] + pool["free",] == 10
    assert 0 <= values(scraper, "duly_event_loop_lag_seconds")[()] < 10
    assert values(scraper, "duly_up") == {("postgres",): 1}
    assert values(scraper, "process_start_time_seconds")[()] <= time.time()


def test_only_a_key_with_the_scope_reads_metrics(client_with: MakeClient, address: str) -> None:
    assert httpx2.get(f"{address}/metrics").status_code == 401
    others = set(KeyScope) - {KeyScope.METRICS, KeyScope.ADMIN}
    assert client_with(*others).get("/metrics").status_code == 403
    assert client_with(KeyScope.ADMIN).get("/metrics").status_code == 200
    assert client_with(KeyScope.METRICS).get("/v1/jobs").status_code == 403


@pytest.mark.parametrize(
    ("accepts", "answered"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics"),
        ("application/openmetrics-text;version=nonsense", "text/plain; version=0.0.4"),
        ("text/plain;version=,;;=", "text/plain; version=0.0.4"),
    ],
)
def test_a_scraper_gets_the_format_that_it_accepts(
    scraper: httpx2.Client, accepts: str, answered: str
) -> None:
    answer = scraper.get("/metrics", headers={"Accept": accepts}).raise_for_status()
    assert answer.headers["content-type"].startswith(answered)
    if "openmetrics" in answered:
        families = openmetrics.text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
        assert "duly_build_info" in {each.name for each in families}


def test_an_app_of_somebody_else_is_measured_with_its_own_routes(
    settings: Settings, scraper: httpx2.Client
) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(app, duly.setup(settings)):
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(duly.router(), prefix="/jobs")
    app.get("/own/{thing}")(lambda thing: thing)
    app.get("/broken")(lambda: 1 / 0)
    with (
        serve_app(app) as address,
        httpx2.Client(base_url=address, headers=scraper.headers, timeout=30) as client,
    ):
        client.get("/own/7")
        client.get("/broken")
        text = httpx2.get(f"{address}/jobs/metrics", headers=scraper.headers).text
    assert 'duly_requests_total{method="GET",route="/own/{thing}",status="200"} 1.0' in text
    assert 'duly_requests_total{method="GET",route="/broken",status="500"} 1.0' in text


def test_without_the_package_an_answer_says_what_to_install(
    settings: Settings, scraper: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.startswith("outbox.metrics")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with serve(settings) as address:
        answer = httpx2.get(f"{address}/metrics", headers=scraper.headers)
        assert httpx2.get(f"{address}/v1/jobs", headers=scraper.headers).status_code == 403
    assert answer.status_code == 404
    assert "pip install 'duly[metrics]'" in answer.json()["detail"]


def test_while_postgres_is_away_who_has_read_metrics_reads_that(
    settings: Settings, scraper: httpx2.Client, client: httpx2.Client
) -> None:
    with (
        before(settings.database_url) as proxy,
        serve(by_way_of(proxy, settings)) as address,
        httpx2.Client(base_url=address, headers=scraper.headers, timeout=30) as known,
    ):
        assert values(known, "duly_up") == {("postgres",): 1}
        proxy.refuse()
        wait_for("no key to be known", lambda: known.get("/v1/jobs").status_code == 503)
        assert values(known, "duly_up") == {("postgres",): 0}
        assert known.get("/metrics", headers=client.headers).status_code == 503
        proxy.admit()
        assert values(known, "duly_up") == {("postgres",): 1}


def by_way_of(proxy: Proxy, settings: Settings) -> Settings:
    """The settings with Postgres behind the proxy."""
    return settings.model_copy(update={"database_url": proxy.url(settings.database_url)})


def test_a_revoked_key_reads_no_metrics(
    client_with: MakeClient, session: Session, address: str
) -> None:
    scraper = client_with(KeyScope.METRICS)
    assert scraper.get("/metrics").status_code == 200
    prefix = scraper.headers["Authorization"].split("_")[1]
    api_keys.revoke(session, prefix, by="ops")
    session.commit()
    wait_for("the end", lambda: scraper.get("/metrics").status_code == 401)


@pytest.mark.parametrize("path", ["/", "/with/a/longer/path"])
def test_measuring_a_request_costs_few_microseconds(path: str) -> None:
    """It is to cost 5 at most; 20 here, as the machine may be busy with other things."""

    async def app(_: Scope, __: object, send: object) -> None:
        for message in MESSAGES:
            await send(message)  # type: ignore[operator]

    async def ignore(_: Message) -> None:
        """The server's."""

    async def seconds_for_each(measured: object, requests: int = 200) -> float:
        scope = {"type": "http", "method": "GET", "path": path}
        began = time.thread_time()
        for _ in range(requests):
            await measured(scope, None, ignore)  # type: ignore[operator]
        return (time.thread_time() - began) / requests

    async def costs() -> float:
        meter = RequestMeter(app, ApiMetrics().requests)
        fastest = [min([await seconds_for_each(each) for _ in range(50)]) for each in (app, meter)]
        return fastest[1] - fastest[0]

    assert asyncio.run(costs()) < 20e-6


MESSAGES: tuple[Message, ...] = (
    {"type": "http.response.start", "status": 200, "headers": []},
    {"type": "http.response.body", "body": b""},
)
