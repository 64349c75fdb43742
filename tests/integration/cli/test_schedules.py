"""Schedules by command."""

from tests.integration.cli.conftest import Duly

PAYLOAD = '{"to": "bob@example.org", "subject": "Hi", "text": "between us"}'
NIGHTLY = ("schedules", "create", "mails.nightly", "--cron", "0 2 * * *", "--kind", "email.send")


def test_a_schedule_is_created_listed_and_run(duly: Duly) -> None:
    made = duly.json(*NIGHTLY, "--zone", "Europe/Berlin", "--payload", PAYLOAD)
    assert (made["zone"], made["version"], made["payload"]["to"]) == (
        "Europe/Berlin",
        1,
        "[redacted]",
    )
    (run,) = duly.json("schedules", "run", "mails.nightly")
    (listed,) = duly.json("schedules", "list")
    assert listed["next_run"] == made["next_run"]
    shown = duly.json("schedules", "show", "mails.nightly")
    assert [tick["job_id"] for tick in shown["ticks"]] == [run["job_id"]]
    assert len(shown["next_runs"]) == 10
