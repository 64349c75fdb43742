"""The management command killed in the middle of its work; a person gives it again."""

import psycopg

from outbox.cli.errors import Code
from tests.faults import moments
from tests.faults.actors import BOOK, DOOMED
from tests.faults.clients import Clients
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises

REPLAY = ("dlq", "replay", "--all", "--yes")
DISCARD = ("dlq", "discard", "--all", "--yes")


@points(moments.COMMAND)
def test_as_it_replays(
    moment: Moment,
    line: Line,
    clients: Clients,
    promises: Promises,
    sql_now: psycopg.Connection,
) -> None:
    doomed = clients.submit(DOOMED, DOOMED)
    line.start("relay", "worker")
    promises.assert_kept()
    sql_now.execute("INSERT INTO mended DEFAULT VALUES")
    assert has_crashed(line.start_doomed(moment, *REPLAY))
    assert line.start_impatient(*REPLAY).wait() in (Code.OK, Code.NOTHING)
    for each in doomed:
        each.end = "succeeded"
    promises.assert_kept()


@points(moments.COMMAND)
def test_as_it_discards(moment: Moment, line: Line, clients: Clients, promises: Promises) -> None:
    clients.submit(DOOMED, DOOMED)
    line.start("relay", "worker")
    promises.assert_kept()
    assert has_crashed(line.start_doomed(moment, *DISCARD))
    assert line.start_impatient(*DISCARD).wait() in (Code.OK, Code.NOTHING)
    promises.assert_kept()
    assert promises.rows("SELECT resolution FROM duly.dead_letters") == ["discarded"] * 2


@points(moments.CANCELLING)
def test_as_it_cancels(moment: Moment, line: Line, clients: Clients, promises: Promises) -> None:
    unwanted = clients.submit(BOOK, BOOK)
    clients.submit(BOOK)
    cancel = ("jobs", "cancel", *(str(each.job) for each in unwanted))
    assert has_crashed(line.start_doomed(moment, *cancel))
    assert line.start_impatient(*cancel).wait() in (Code.OK, Code.FAILED)
    for each in unwanted:
        each.end = "cancelled"
    line.start("relay", "worker")
    promises.assert_kept()
