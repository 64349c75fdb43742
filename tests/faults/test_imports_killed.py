"""Imports, with the API or workers killed anywhere: each row is loaded once, and told of once."""

import csv
import io
import random
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine, func
from sqlalchemy.orm import Session

from outbox.amqp.topology import dead_letter_queue
from service.documents.store import Documents
from service.imports import states
from service.imports.kinds import RUN_IMPORT
from service.imports.models import Import, ImportPart
from tests.faults import moments
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.support.engine.rabbit import Rabbit
from tests.support.tables import workbook
from tests.support.wait import wait_for

ROWS = 60_000
BAD_EACH = 1000
KILLS = 6
PARTS = 3
ENDED = "SELECT state FROM imports WHERE state NOT IN ('uploading', 'running')"
CHUNKS = "SELECT count(*), count(good) FROM import_chunks"
LINES = "SELECT count(*), count(DISTINCT line), min(line), max(line) FROM charges"
COUNTS = "SELECT sum(rows), sum(good), sum(bad) FROM import_chunks"
COLUMNS = ["customer", "email", "description", "quantity", "unit_price", "currency", "date"]


def row(number: int) -> list[str]:
    """A row of the file; some have no currency."""
    currency = "?" if number % BAD_EACH == 0 else "EUR"
    return ["Ada", "ada@example.com", f"Tea {number}", "2", "19.90", currency, "2026-01-31"]


def as_csv(rows: int) -> bytes:
    """The file as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *map(row, range(rows))])
    return text.getvalue().encode()


def as_xlsx(rows: int) -> bytes:
    """The file as XLSX."""

    def fill(_: Any, sheet: Any) -> None:
        for line, cells in enumerate([COLUMNS, *map(row, range(rows))]):
            sheet.write_row(line, 0, cells)

    return workbook(fill)


@pytest.fixture
def folder(line: Line, amqp_url: str, tmp_path: Path) -> Documents:
    """The document store of the line's processes, which run the service's own actors."""
    url = (tmp_path / "documents").as_uri()
    del line.environment["DULY_ACTORS"]
    line.environment["DULY_DOCUMENTS_URL"] = url
    with closing(Rabbit(amqp_url)) as rabbit:
        rabbit.delete(RUN_IMPORT.queue)
        rabbit.delete(dead_letter_queue(RUN_IMPORT.queue))
    return Documents(url)


def submit(engine: Engine, folder: Documents, content: bytes) -> None:
    """An import whose file has just been uploaded, in parts."""
    with Session(engine) as session, session.begin():
        each = Import(
            file="a", options={}, received=len(content), created_by="test", expires_at=func.now()
        )
        session.add(each)
        session.flush()
        size = len(content) // PARTS + 1
        for begin in range(0, len(content), size):
            part = content[begin : begin + size]
            folder.put(name := f"imports/{begin}", part)
            session.add(ImportPart(import_id=each.id, begin=begin, size=len(part), name=name))
        states.run(session, each)


def assert_imported(promises: Promises, folder: Documents, rows: int) -> None:
    """Each good row is a charge once, each bad one in the report once, and the counts say so."""
    wait_for("the end", lambda: promises.rows(ENDED))
    wait_for("quiet", lambda: not any(promises.left().values()))
    bad = len(range(0, rows, BAD_EACH))
    good = rows - bad
    assert promises.rows(ENDED) == ["finished"]
    assert promises.rows(COUNTS) == [(rows, good, bad)]
    assert promises.rows(LINES) == [(good, good, 3, rows + 1)]
    (name,) = promises.rows("SELECT bad_rows FROM imports")
    report = csv.reader(io.StringIO(folder.get(name).decode("utf-8-sig")))
    assert [each[:2] for each in report] == [
        ["line", "field"],
        *([str(number + 2), "currency"] for number in range(0, rows, BAD_EACH)),
    ]


@points(moments.IMPORTING, "charges copied but not committed")
def test_the_worker(
    moment: Moment, line: Line, folder: Documents, engine: Engine, promises: Promises
) -> None:
    submit(engine, folder, as_csv(12_000))
    line.start("relay")
    assert has_crashed(line.start_doomed(moment, "worker"))
    line.start("worker")
    assert_imported(promises, folder, 12_000)


@pytest.mark.slow
@pytest.mark.parametrize("make", [as_csv, as_xlsx])
def test_workers_again_and_again(
    make: Any, line: Line, folder: Documents, engine: Engine, promises: Promises
) -> None:
    submit(engine, folder, make(ROWS))
    line.start("relay")
    chosen = random.Random(7)
    for _ in range(KILLS):
        (worker,) = line.start("worker")
        wait_for_more(promises, chosen.randrange(2), chosen.randrange(1, 6))
        worker.kill()
    line.start("worker")
    assert_imported(promises, folder, ROWS)


def wait_for_more(promises: Promises, which: int, more: int) -> None:
    """Wait until so many more chunks were cut, or loaded; or all of them."""
    aim = min(promises.rows(CHUNKS)[0][which] + more, ROWS // 2000)
    wait_for("some more", lambda: promises.rows(CHUNKS)[0][which] >= aim)


@points(moments.UPLOADING_IMPORTS)
def test_the_api(moment: Moment, line: Line, folder: Documents, promises: Promises) -> None:
    content = as_csv(12_000)
    (api,) = line.start("api")
    path = line.post("/v1/imports", {"file": "a", "size": len(content)})["links"]["content"]
    api.kill()
    doomed = line.start_doomed(moment, "api")
    wait_for("the API answers", line.answers)
    with pytest.raises(httpx2.TransportError):
        line.http.put(path, content=content)
    assert has_crashed(doomed)
    api.start()
    wait_for("the API answers", line.answers)
    begin = line.http.head(path).headers["upload-offset"]
    rest = line.http.patch(path, content=content[int(begin) :], headers={"Upload-Offset": begin})
    assert rest.status_code == 204
    line.start("relay", "worker")
    assert_imported(promises, folder, 12_000)
