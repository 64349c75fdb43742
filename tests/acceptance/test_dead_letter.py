"""A job that keeps failing: found, understood and replayed by command."""

from service.webhooks.kinds import DELIVER_WEBHOOK
from tests.support.outside.arrivals import webhook_ids
from tests.support.outside.receiver import status
from tests.support.service.line import Line

ATTEMPTS = DELIVER_WEBHOOK.retry.attempts


def test_a_dead_webhook_is_found_with_every_error_and_replayed(line: Line) -> None:
    line.start("api", "relay", "worker")
    endpoint = line.listen()
    line.receiver.answer = status(500, Retry_After="0")
    job_id = line.submit_webhook(endpoint)
    line.wait_for_state("dead", [job_id])
    assert webhook_ids(line.receiver.deliveries) == [job_id] * ATTEMPTS

    (letter,) = line.duly_json("dlq", "list", "--kind", "webhook.deliver", "--error", "500")
    shown = line.duly_json("dlq", "show", str(letter["id"]))
    assert (shown["job_id"], shown["reason"]) == (job_id, "exhausted")
    errors = [(each["error_message"], bool(each["traceback"])) for each in shown["attempts"]]
    assert errors == [("the endpoint answered 500", True)] * ATTEMPTS

    line.receiver.answer = status(204)
    line.duly("dlq", "replay", str(letter["id"]), "--why", "mended", "--by", "ops", "--yes")
    line.wait_for_state("succeeded", [job_id])
    assert webhook_ids(line.receiver.deliveries) == [job_id] * (ATTEMPTS + 1)
    assert line.receiver.deliveries[-1].verified(endpoint["secret"])
    assert line.duly_json("dlq", "list") == []
    (closed,) = line.duly_json("dlq", "list", "--closed")
    audit = [closed[name] for name in ("resolution", "closed_by", "close_reason")]
    assert audit == ["replayed", "ops", "mended"]
    assert line.outcomes(job_id) == ["failed"] * ATTEMPTS + ["succeeded"]
