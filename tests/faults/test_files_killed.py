"""The API and the worker killed at each moment of a file and of an image."""

from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from PIL import Image

from tests.faults import moments
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.support.wait import wait_for

CSV = {"Content-Type": "text/csv"}
OLDER = "UPDATE files SET created_at = created_at - interval '25 hours'"


@pytest.fixture
def documents(line: Line, tmp_path: Path) -> Path:
    """Where the documents of the line are, which runs the service's own actors."""
    folder = tmp_path / "documents"
    line.environment["DULY_DOCUMENTS_URL"] = folder.as_uri()
    line.environment["DULY_ACTORS"] = "actors:ACTORS"
    return folder


def stored(documents: Path) -> dict[str, bytes]:
    """The documents by name, with what is left of broken ones."""
    files = [path for path in documents.rglob("*") if path.is_file()]
    return {str(path.relative_to(documents)): path.read_bytes() for path in files}


@points(moments.UPLOADING)
def test_an_api_killed_in_an_upload_leaves_nothing_for_ever(
    moment: Moment, line: Line, documents: Path, sql_now: psycopg.Connection
) -> None:
    (api,) = line.start("api")
    api.kill()
    doomed = line.start_doomed(moment, "api")
    wait_for("the API answers", line.answers)
    with pytest.raises(httpx2.TransportError):
        line.http.post("/v1/files", content=b"x" * 6_000_000, headers=CSV)
    assert has_crashed(doomed)
    assert sql_now.execute("SELECT state FROM files").fetchall() == [("storing",)]

    sql_now.execute(OLDER)
    line.start("relay", "worker")
    sweep(line)
    assert sql_now.execute("SELECT FROM files").fetchall() == []
    assert stored(documents) == {}


@points(moments.SWEEPING)
def test_a_worker_killed_in_a_sweep_goes_on_with_it(
    moment: Moment, line: Line, documents: Path, sql_now: psycopg.Connection
) -> None:
    line.start("api", "relay")
    files = [line.http.post("/v1/files", content=b"x", headers=CSV).json() for _ in range(3)]
    sql_now.execute("UPDATE files SET expires_at = now()")
    job = line.duly("jobs", "submit", "files.sweep", "--payload", "{}").strip()
    assert has_crashed(line.start_doomed(moment, "worker"))
    for file in files:
        assert line.http.get(file["links"]["self"]).status_code == 404
    line.start("worker")
    line.wait_for_state("succeeded", [job])
    assert sql_now.execute("SELECT FROM files").fetchall() == []
    assert stored(documents) == {}


@points(moments.PICTURING)
def test_a_worker_killed_in_an_image_leaves_no_half_of_it(
    moment: Moment, line: Line, documents: Path, sql_now: psycopg.Connection
) -> None:
    line.start("api", "relay")
    image = line.http.post("/v1/images", content=picture(), headers={"Content-Type": "image/png"})
    path = image.raise_for_status().json()["links"]["self"]
    assert has_crashed(line.start_doomed(moment, "worker"))
    before = stored(documents)
    waiting = line.get(path)
    assert (waiting["state"], waiting["versions"]) == ("waiting", [])
    assert line.http.get(f"{path}/small.webp").status_code == 404

    line.start("worker")
    wait_for("the image", lambda: line.get(path)["state"] == "ready")
    assert len(line.get(path)["versions"]) == 6
    assert before.items() <= stored(documents).items()
    for version in line.get(path)["versions"]:
        content = line.http.get(version["link"]).raise_for_status().content
        assert Image.open(BytesIO(content)).size == (version["width"], version["height"])
    states: list[Any] = sql_now.execute("SELECT DISTINCT state FROM files").fetchall()
    assert states == [("stored",)]


def picture() -> bytes:
    content = BytesIO()
    Image.effect_noise((900, 600), 80).convert("RGB").save(content, "PNG")
    return content.getvalue()


def sweep(line: Line) -> None:
    """Run a sweep to its end, without the API."""
    job = line.duly("jobs", "submit", "files.sweep", "--payload", "{}").strip()
    line.duly("jobs", "wait", job, "--timeout", "60s")
