"""A mail every night."""

from dev.demo.stage import Stage
from dev.demo.telling import tell, title

NIGHTLY = {
    "name": "demo.nightly",
    "cron": "0 2 * * *",
    "zone": "Europe/Berlin",
    "kind": "email.send",
    "payload": {"to": "ada@example.com", "subject": "Good night", "text": "All is well."},
}


def show(stage: Stage) -> None:
    """Make a schedule, and say when it is due."""
    title("A schedule: a mail every night at two, by the clocks of Berlin")
    made = stage.api.post("/v1/schedules", json=NIGHTLY)
    if made.status_code != 409:  # an earlier run of the demo has made it
        made.raise_for_status()
    for due_at in stage.get(f"/v1/schedules/{NIGHTLY['name']}")["next_runs"][:3]:
        tell(f"it will run at {due_at}")
    tell(f"what it made, and what it skipped and why: duly schedules show {NIGHTLY['name']}")
