"""Reports over HTTP: asked for, looked at, and downloaded by links that expire."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox.operations.api_keys import Scope
from service.documents.store import Documents
from service.files.keeping import keep
from service.reports.links import Link
from service.reports.models import Report
from service.settings import Settings
from tests.integration.http.conftest import MakeClient
from tests.support.service.serving import serve

MONTH: dict[str, Any] = {"month": "2026-11"}
CONTENT = b"currency,day\r\n" * 200_000
MakeReady = Callable[..., UUID]


@pytest.fixture
def ready(client: httpx2.Client, session: Session, settings: Settings) -> MakeReady:
    """Asks for a report, and builds a file of it as the actor does."""

    def ready(content: bytes = CONTENT, lifetime: timedelta | None = timedelta(days=1)) -> UUID:
        report_id = UUID(client.post("/v1/reports", json=MONTH | {"formats": ["csv"]}).json()["id"])
        name = f"reports/{report_id}/1.csv"
        Documents(settings.documents_url).put(name, content)
        file = keep(session, name, size=len(content), media_type="text/csv", expires_in=lifetime)
        report = session.get_one(Report, report_id)
        report.files = {"csv": {"file": str(file.id), "bytes": len(content)}}
        report.totals = []
        report.built_at, report.expires_at = datetime.now(UTC), file.expires_at
        session.commit()
        return report_id

    return ready


def link_to(client: httpx2.Client, report_id: UUID, **more: Any) -> httpx2.Response:
    """Asks for a link to the CSV."""
    return client.post(f"/v1/reports/{report_id}/links", json={"format": "csv"} | more)


def test_a_report_has_the_id_of_the_job_that_builds_it(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = client.post("/v1/reports", json=MONTH | {"formats": ["pdf", "csv", "pdf"]})
    report = made.json()
    assert made.status_code == 202
    assert made.headers["location"] == report["links"]["self"]
    assert (report["first_day"], report["last_day"]) == ("2026-11-01", "2026-11-30")
    assert (report["state"], report["zone"], report["formats"]) == (
        "building",
        "UTC",
        ["csv", "pdf"],
    )
    assert report["job"]["id"] == report["id"]
    assert (report["totals"], report["files"], report["built_at"]) == (None, None, None)
    assert client.get(report["links"]["self"]).json() == report
    assert client.get("/v1/reports").json()["reports"][0]["id"] == report["id"]
    job = client.get(report["job"]["links"]["self"]).json()
    assert job["subject"] == "report:2026-11-01/2026-11-30"
    assert job["submitted_by"].startswith("test")
    assert sql_now.execute("SELECT id::text FROM reports").fetchall() == [(report["id"],)]


def test_the_same_report_asked_for_twice_is_built_once(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(client.post, "/v1/reports", json=MONTH) for _ in range(6)]
    answers = [each.result() for each in asked]
    assert sorted(each.status_code for each in answers) == [200, 200, 200, 200, 200, 202]
    assert len({each.json()["id"] for each in answers}) == 1
    count = "SELECT (SELECT count(*) FROM reports), (SELECT count(*) FROM duly.jobs)"
    assert sql_now.execute(count).fetchone() == (1, 1)

    sql_now.execute("UPDATE duly.jobs SET state = 'running'")
    days = {"first_day": "2026-11-01", "last_day": "2026-11-30", "formats": ["xlsx", "pdf", "csv"]}
    again = client.post("/v1/reports", json=days)
    assert (again.status_code, again.json()["job"]["state"]) == (200, "running")
    others: list[dict[str, Any]] = [
        {"month": "2026-10"},
        MONTH | {"formats": ["csv"]},
        MONTH | {"zone": "Europe/Berlin"},
    ]
    for other in others:
        assert client.post("/v1/reports", json=other).status_code == 202, other
    sql_now.execute("UPDATE duly.jobs SET state = 'succeeded', finished_at = now()")
    anew = client.post("/v1/reports", json=MONTH)
    assert anew.status_code == 202
    assert anew.json()["id"] != answers[0].json()["id"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "body"),
        ({"first_day": "2026-11-01"}, "body"),
        (MONTH | {"last_day": "2026-11-01"}, "body"),
        ({"first_day": "2026-11-02", "last_day": "2026-11-01"}, "body"),
        ({"first_day": "2026-01-01", "last_day": "2027-01-02"}, "body"),
        ({"first_day": "0001-01-01", "last_day": "0001-01-02"}, "first_day"),
        ({"month": "2026-13"}, "month"),
        (MONTH | {"zone": "Mars/Base"}, "zone"),
        (MONTH | {"zone": "right/UTC"}, "zone"),
        (MONTH | {"zone": "../etc/passwd"}, "zone"),
        (MONTH | {"formats": []}, "formats"),
        (MONTH | {"formats": ["docx"]}, "formats.0"),
        (MONTH | {"more": 1}, "more"),
    ],
)
def test_what_is_no_period_or_format_is_refused_by_its_field(
    lasting_client: httpx2.Client, wrong: dict[str, Any], field: str
) -> None:
    refused = lasting_client.post("/v1/reports", json=wrong)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field


def test_states_follow_the_job(
    client: httpx2.Client, ready: MakeReady, sql_now: psycopg.Connection
) -> None:
    path = client.post("/v1/reports", json=MONTH).json()["links"]["self"]
    for job, state in (("running", "building"), ("dead", "failed"), ("cancelled", "cancelled")):
        sql_now.execute("UPDATE duly.jobs SET state = %s, finished_at = now()", [job])
        assert client.get(path).json()["state"] == state
    sql_now.execute("DELETE FROM duly.jobs")
    assert client.get(path).json()["state"] == "cancelled"
    done = client.get(f"/v1/reports/{ready()}").json()
    assert (done["state"], done["totals"]) == ("ready", [])
    assert done["files"] == [{"format": "csv", "bytes": len(CONTENT)}]
    sql_now.execute("UPDATE reports SET expires_at = now()")
    assert client.get(f"/v1/reports/{done['id']}").json()["state"] == "expired"


def test_a_link_downloads_the_file_without_a_key(
    client: httpx2.Client, address: str, ready: MakeReady, sql_now: psycopg.Connection
) -> None:
    report_id = ready()
    link = link_to(client, report_id, lifetime_seconds=60)
    assert link.status_code == 201
    file = httpx2.get(address + link.json()["url"])
    assert (file.status_code, file.content == CONTENT) == (200, True)
    headers = {name: file.headers[name] for name in ("content-type", "content-length")}
    assert headers == {
        "content-type": "text/csv; charset=utf-8; header=present",
        "content-length": str(len(CONTENT)),
    }
    name = "invoiced-2026-11-01-to-2026-11-30.csv"
    assert file.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert file.headers["x-content-type-options"] == "nosniff"
    assert file.headers["cache-control"] == "private, no-store"
    about = sql_now.execute("SELECT about FROM duly.acts WHERE act = 'report-link'").fetchall()
    assert about == [([f"report:{report_id}"],)]


def test_a_link_ends_with_its_time_and_with_the_files(
    client: httpx2.Client,
    address: str,
    ready: MakeReady,
    settings: Settings,
    sql_now: psycopg.Connection,
) -> None:
    report_id = ready()
    assert settings.links_secret
    secret = settings.links_secret.get_secret_value()
    over = Link(report_id, "csv", datetime.now(UTC) - timedelta(seconds=1)).token(secret)
    late = httpx2.get(f"{address}/v1/downloads/{over}")
    assert (late.status_code, late.json()["type"]) == (410, "/problems/gone")
    url = address + link_to(client, report_id).json()["url"]
    sql_now.execute("UPDATE reports SET expires_at = now()")
    assert httpx2.get(url).status_code == 410
    assert link_to(client, report_id).status_code == 410


def test_a_link_is_only_what_was_signed_here(
    client: httpx2.Client, address: str, ready: MakeReady
) -> None:
    report_id, other = ready(), UUID(int=7)
    token = link_to(client, report_id).json()["url"].rpartition("/")[2]
    text, _, signature = token.rpartition(".")
    until = datetime.now(UTC) + timedelta(hours=1)
    forged = [
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        text,
        f"{text}.",
        f"{text.replace('csv', 'pdf')}.{signature}",
        f"{text.replace(report_id.hex, other.hex)}.{signature}",
        f"{text}9.{signature}",
        Link(report_id, "csv", until).token("another secret of thirty-two characters"),
        "%00",
        "é",
        "x" * 5000,
    ]
    for each in forged:
        answer = httpx2.get(f"{address}/v1/downloads/{each}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found"), each


def test_there_is_no_link_to_what_is_not_there(
    client: httpx2.Client, client_with: MakeClient, ready: MakeReady
) -> None:
    building = UUID(client.post("/v1/reports", json=MONTH).json()["id"])
    early = link_to(client, building)
    assert (early.status_code, early.json()["type"]) == (404, "/problems/not-ready")
    assert early.headers["retry-after"]
    report_id = ready()
    assert link_to(client, report_id, format="pdf").status_code == 404
    assert link_to(client, UUID(int=7)).status_code == 404
    assert link_to(client, report_id, lifetime_seconds=604_801).status_code == 422
    assert link_to(client_with(Scope.READ), report_id).status_code == 201


def test_without_a_secret_there_are_no_links(
    client: httpx2.Client, ready: MakeReady, settings: Settings
) -> None:
    report_id = ready()
    url = link_to(client, report_id).json()["url"]
    with serve(settings.model_copy(update={"links_secret": None})) as address:
        refused = httpx2.post(
            f"{address}/v1/reports/{report_id}/links",
            json={"format": "csv"},
            headers={"authorization": client.headers["authorization"]},
        )
        assert refused.status_code == 409
        assert "DULY_LINKS_SECRET" in refused.json()["detail"]
        assert httpx2.get(address + url).status_code == 404
