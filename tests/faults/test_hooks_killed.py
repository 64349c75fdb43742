"""The API killed at each moment of an event's delivery; the sender delivers it again."""

import httpx2
import pytest

from tests.faults import moments
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.support.outside import senders
from tests.support.wait import wait_for

BODY = senders.stripe_event("evt_1")


@points(moments.HOOKS)
def test_an_event_is_stored_once_with_its_job(
    moment: Moment, line: Line, promises: Promises
) -> None:
    line.environment["DULY_STRIPE_WEBHOOK_SECRETS"] = senders.SECRET
    (api,) = line.start("api")
    api.kill()
    doomed = line.start_doomed(moment, "api")
    wait_for("the API answers", line.answers)
    with pytest.raises(httpx2.TransportError):
        _deliver(line)
    assert has_crashed(doomed)
    committed = "event committed" in moment.name
    assert len(promises.rows("SELECT id FROM hook_events")) == committed
    api.start()
    wait_for("the API answers", line.answers)

    again = _deliver(line)

    assert (again.status_code, again.json()["duplicate"]) == (200, committed)
    (job_id,) = promises.rows("SELECT job_id FROM hook_events")
    assert promises.rows("SELECT id FROM duly.jobs") == [job_id]
    assert promises.rows("SELECT job_id FROM duly.outbox_events") == [job_id]


def _deliver(line: Line) -> httpx2.Response:
    return line.http.post("/v1/hooks/stripe", content=BODY, headers=senders.stripe_headers(BODY))
