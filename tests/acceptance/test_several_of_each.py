"""Several relays and workers share the work without a leader."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.outside.arrivals import message_ids
from tests.support.service.line import Line
from tests.support.wait import wait_for


def test_two_relays_and_two_workers_send_each_mail_once(line: Line) -> None:
    line.environment["DULY_WINDOW"] = "20"
    *_, one, other = line.start("api", "relay", "relay", "worker", "worker")
    wait_for("both workers", lambda: all("worker ready" in each.log for each in (one, other)))
    with ThreadPoolExecutor(4) as clients:
        job_ids = list(clients.map(lambda _: line.submit_email(), range(300)))
    wait_for("all mails", lambda: len(line.inbox.envelopes) >= 300)
    line.wait_for_no_unfinished_job()
    assert sorted(message_ids(line.inbox)) == sorted(job_ids)
    assert len({job["worker"] for job in line.get("/v1/jobs?limit=200")["jobs"]}) == 2
