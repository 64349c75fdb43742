"""The management command killed as it replays; a person gives it again."""

import psycopg

from service.cli.errors import Code
from tests.faults import moments
from tests.faults.actors import DOOMED
from tests.faults.clients import Clients
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises

REPLAY = ("dlq", "replay", "--all", "--yes")


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
