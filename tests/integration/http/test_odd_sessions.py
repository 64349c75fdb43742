"""The API on sessions that are not as Postgres has them, and by addresses of all forms."""

from pathlib import Path

import httpx2
import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.orm import Session

from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from service.settings import Settings
from service.subjects import NEW_JOBS
from tests.support.service.serving import serve

MAIL = NEW_JOBS["a mail"]["value"]
READ_ONLY = "-c default_transaction_read_only=on"


@pytest.fixture
def headers(session: Session) -> dict[str, str]:
    """A key that may do what the tests do."""
    key = api_keys.create(session, "test", [Scope.ADMIN], by="ann")
    session.commit()
    return {"Authorization": f"Bearer {key}"}


def post_by(address: str, settings: Settings, headers: dict[str, str]) -> int:
    """The status of a POST to an API with that address of the database."""
    with serve(settings.model_copy(update={"database_url": address})) as url:
        return httpx2.post(f"{url}/v1/jobs", headers=headers, json=MAIL).status_code


def test_a_dead_host_is_passed_by(settings: Settings, headers: dict[str, str]) -> None:
    url = make_url(settings.database_url)
    hosts = f"host={url.host},{url.host} port=1,{url.port} target_session_attrs=read-write"
    login = f"dbname={url.database} user={url.username} password={url.password}"
    assert post_by(f"{hosts} {login}", settings, headers) == 202


def test_a_service_and_its_options_are_those_of_the_file(
    settings: Settings, headers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, file = make_url(settings.database_url), tmp_path / "services"
    lines = [f"host={url.host}", f"port={url.port}", f"dbname={url.database}"]
    login = [f"user={url.username}", f"password={url.password}"]
    file.write_text("\n".join(["[duly]", *lines, *login]))
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    assert post_by("service=duly", settings, headers) == 202
    with file.open("a") as services:
        services.write(f"\noptions={READ_ONLY}\n")
    assert post_by("service=duly", settings, headers) >= 500


def test_options_of_the_environment_reach_the_api(
    settings: Settings, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", READ_ONLY)
    assert post_by(settings.database_url, settings, headers) >= 500


def test_after_a_column_has_changed_its_type_a_request_works_or_says_try_again(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    def look() -> int:
        return client.get("/v1/webhook-endpoints").status_code

    assert {look() for _ in range(30)} == {200}
    sql_now.execute("ALTER TABLE webhook_endpoints ALTER url TYPE varchar(9999)")
    looks = [look() for _ in range(10)]
    assert set(looks) == {200, 503}  # 503 once for each connection that knows the old type
    assert looks[-1] == 200
