"""Schedules by command."""

import psycopg

from tests.integration.cli.conftest import Duly
from tests.support.wait import wait_for

PAYLOAD = '{"to": "bob@example.org", "subject": "Hi", "text": "between us"}'
NIGHTLY = (
    *("schedules", "create", "mails.nightly", "--cron", "0 2 * * *"),
    *("--kind", "email.send", "--payload", PAYLOAD),
)
RECORD = "SELECT act, who, why FROM duly.acts ORDER BY id"
ANN = ("mails.nightly", "--by", "ann", "--why", "asked")


def test_a_schedule_is_created_listed_and_run(duly: Duly) -> None:
    made = duly.json(*NIGHTLY, "--zone", "Europe/Berlin")
    assert (made["zone"], made["version"]) == ("Europe/Berlin", 1)
    assert made["payload"]["to"] == "[redacted]"
    (run,) = duly.json("schedules", "run", "mails.nightly")
    (listed,) = duly.json("schedules", "list", "--payloads")
    assert listed["next_run"] == made["next_run"]
    assert listed["payload"]["to"] == "bob@example.org"
    shown = duly.json("schedules", "show", "mails.nightly")
    assert [tick["job_id"] for tick in shown["ticks"]] == [run["job_id"]]
    assert len(shown["next_runs"]) == 10


def test_a_schedule_is_changed_paused_resumed_backfilled_and_deleted(
    duly: Duly, sql_now: psycopg.Connection
) -> None:
    created = duly(*NIGHTLY, "--by", "ann")
    assert created.stderr.startswith("duly: created mails.nightly; its next run is 20")
    edited = duly.json(
        *("schedules", "edit", *ANN, "--cron", "0 3 * * *", "--overlap", "allow"),
        *("--jitter", "5m", "--catch-up", "2h", "--missed", "run_all", "--subject", "mails"),
    )
    assert (edited["cron"], edited["overlap"], edited["missed"]) == (
        "0 3 * * *",
        "allow",
        "run_all",
    )
    assert (edited["jitter_seconds"], edited["catch_up_seconds"]) == (300, 7200)
    assert (edited["subject"], edited["version"]) == ("mails", 2)
    paused = duly.json("schedules", "pause", *ANN)
    assert (paused["paused"], paused["next_run"]) == (True, None)
    assert duly.json("schedules", "resume", *ANN)["next_run"] == edited["next_run"]
    assert len(duly.json("schedules", "backfill", *ANN, "--since", "3d")) == 3
    assert duly("schedules", "delete", *ANN).stderr == "duly: deleted mails.nightly\n"
    acts = ("create", "edit", "pause", "resume", "backfill", "delete")
    assert sql_now.execute(RECORD).fetchall() == [
        (f"schedule-{act}", "ann", None if act == "create" else "asked") for act in acts
    ]


REFUSED: dict[tuple[str, ...], tuple[int, str]] = {
    ("edit", "mails.nightly", "--version", "7", "--zone", "UTC"): (1, "it has version 1"),
    ("edit", "mails.nightly", "--cron", "0 0 30 2 *"): (2, "cron: bad day-of-month"),
    ("edit", "mails.nightly", "--kind", "invoice.render"): (2, "needs its --payload"),
    ("run", "missing"): (3, "there is no schedule missing"),
}


def test_what_cannot_be_is_refused_with_the_reason(duly: Duly) -> None:
    assert duly(*NIGHTLY).returncode == 0
    for arguments, (code, why) in REFUSED.items():
        done = duly("schedules", *arguments)
        assert (done.returncode, done.stdout, why in done.stderr) == (code, "", True), done.stderr
    assert "0 2 * * *" in duly("schedules", "list").stdout


def test_a_relay_writes_what_the_apps_code_declares(
    duly: Duly, sql_now: psycopg.Connection
) -> None:
    duly.environment["DULY_APP"] = "tests.integration.cli.scheduled_app:duly"
    declared = "SELECT name, source, kind FROM duly.schedules"
    with duly.start("relay") as relay:
        wait_for("it is declared", lambda: sql_now.execute(declared).fetchall())
        relay.terminate()
        relay.communicate(timeout=30)
    assert sql_now.execute(declared).fetchall() == [("sweep.yearly", "code", "test.sweep")]
    assert duly.json("schedules", "show", "sweep.yearly")["source"] == "code"
