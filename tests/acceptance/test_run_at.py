"""Jobs held back until a moment."""

from datetime import UTC, datetime, timedelta

from tests.support.outside.arrivals import message_ids
from tests.support.service.line import Line
from tests.support.wait import wait_for


def test_a_job_runs_at_its_time_and_one_cancelled_before_never(line: Line) -> None:
    line.start("api", "relay", "worker")
    now = line.submit_email()
    wait_for("a worker is there", lambda: message_ids(line.inbox) == [now])
    run_at = datetime.now(UTC) + timedelta(seconds=2)
    cancelled, held_back = line.submit_email(run_at), line.submit_email(run_at)
    assert line.job(held_back)["state"] == "scheduled"
    assert line.post(f"/v1/jobs/{cancelled}/cancel", {})["state"] == "cancelled"

    wait_for("the mail", lambda: held_back in message_ids(line.inbox))
    assert timedelta() <= datetime.now(UTC) - run_at < timedelta(seconds=5)
    after = line.submit_email()
    wait_for("a later mail", lambda: after in message_ids(line.inbox))
    assert message_ids(line.inbox) == [now, held_back, after]
    assert line.job(cancelled)["state"] == "cancelled"
