"""A webhook fails until its job is dead; the cause is mended, and the dead letter replayed."""

from typing import Any

from dev.demo.stage import Stage
from dev.demo.telling import tell, title


def show(stage: Stage, endpoint: dict[str, Any]) -> None:
    """Break the receiver, show the dead letter, mend the receiver and replay."""
    title("The receiver breaks: a webhook fails until it is dead")
    stage.answer_with(500, endpoint)
    payload = {"endpoint_id": endpoint["id"], "event": "invoice.paid", "data": {"paid": True}}
    job = stage.post("/v1/jobs", {"kind": "webhook.deliver", "payload": payload})
    dead = stage.follow(job["id"])
    tell(f"{len(dead['attempts'])} attempts, each with its error")
    letter = str(stage.letter_of(dead)["id"])
    title(f"$ duly dlq show {letter}")
    print(stage.duly("dlq", "show", letter), flush=True)
    title(f"The receiver is mended. $ duly dlq replay {letter} --why 'receiver mended'")
    stage.answer_with(204, endpoint)
    stage.duly("dlq", "replay", letter, "--why", "receiver mended", "--yes")
    stage.follow(dead["id"])
