"""What becomes of a mail: sent, refused, suppressed, deferred, or nobody knows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from actors import mail
from actors.mailing import transmission
from actors.mailing.transmission import MailDeferred, MailUncertain, ServerBusy
from outbox import Job, RateLimited
from outbox.operations import jobs
from service.job_times import first_id
from service.mail import emails, suppressions
from service.mail.kinds import (
    PRUNE_EMAILS,
    SEND_EMAIL,
    SEND_EMAIL_ONCE,
    AddressGone,
    MailRefused,
    PruneEmails,
)
from service.mail.models import Email, Suppression
from tests.integration.actors.conftest import Claim, Configure, next_attempt
from tests.integration.actors.mails import claimed, run, send, state, suppressed
from tests.support.outside.mail_server import Inbox, mail_server

END_ATTEMPT = """
INSERT INTO duly.attempts (job_id, attempt, outcome, error_type, error_message)
VALUES (%s, %s, %s, '', '')
"""
RUN_AGAIN = "UPDATE duly.jobs SET dispatch = dispatch + 1, attempt = attempt + 1 WHERE id = %s"


@pytest.fixture
def inbox(configure: Configure) -> Iterator[Inbox]:
    inbox = Inbox()
    with mail_server(inbox) as address:
        configure(smtp_url=f"smtp://{address}", mail_from="Duly <invoices@duly.example>")
        yield inbox


def test_a_mail_that_the_server_took_is_on_record(
    claim: Claim, inbox: Inbox, session: Session
) -> None:
    job = send(claim)
    assert state(session, job) == "sent"
    record = jobs.get(session, job.id)
    assert record
    assert (record.state, record.result) == (
        "succeeded",
        {"message_id": f"<{job.id}@duly.example>"},
    )


@pytest.mark.parametrize("category", ["*", "news"])
def test_a_suppressed_address_gets_nothing(
    claim: Claim, inbox: Inbox, session: Session, category: str
) -> None:
    suppressions.add(session, "ada@xn--bcher-kva.example", category, "person")
    session.commit()
    job = send(claim, to="Ada@Bücher.example", category="news")
    assert inbox.envelopes == []
    assert state(session, job) == "suppressed"
    assert job.result == {"suppressed": "person", "category": category}


def test_who_unsubscribed_from_news_still_gets_other_mail(
    claim: Claim, inbox: Inbox, session: Session
) -> None:
    suppressions.add(session, "ada@example.com", "news", "unsubscribe")
    session.commit()
    send(claim, category="invoices")
    send(claim)
    assert len(inbox.envelopes) == 2


@pytest.mark.parametrize(
    ("answer", "is_gone"),
    [
        ("550 5.1.1 no such mailbox", True),
        ("550 5.4.4 no such domain", True),
        ("552 5.2.2 mailbox full", False),
        ("550 5.7.1 we do not like you", False),
        ("550 no", False),
    ],
)
def test_only_an_address_that_is_gone_is_suppressed(
    claim: Claim, inbox: Inbox, session: Session, answer: str, is_gone: bool
) -> None:
    inbox.to_recipient = answer
    work, job = claimed(claim)
    with pytest.raises(MailRefused) as refused:
        run(work, job)
    assert isinstance(refused.value, AddressGone) == is_gone
    assert state(session, job) == "refused"
    assert suppressed(session) == [("ada@example.com", "*", "bounce")] * is_gone


def test_a_server_that_greylists_is_asked_again_after_minutes(claim: Claim, inbox: Inbox) -> None:
    inbox.to_recipient = "450 4.2.0 greylisted, come back in 300 seconds"
    work, job = claimed(claim)
    for minutes in (1, 2, 4):
        with pytest.raises(MailDeferred) as deferred:
            run(work, job)
        assert SEND_EMAIL.retry.delay(1, deferred.value) == timedelta(minutes=minutes)
        job.attempt += 1


@pytest.mark.parametrize(
    "answer",
    [
        "421 4.3.2 shutting down",
        "452 insufficient system storage",
        "452 4.3.1 queue full",
        "450 4.7.1 too many mails from you",
        "451 4.7.0 Throttling failure: maximum sending rate exceeded",
    ],
)
def test_a_busy_server_costs_no_attempt(claim: Claim, inbox: Inbox, answer: str) -> None:
    inbox.to_recipient = answer
    with pytest.raises(RateLimited) as busy:
        send(claim)
    assert busy.value.delay == timedelta(minutes=1)


def test_a_server_that_is_busy_for_days_costs_attempts(
    claim: Claim, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.to_recipient = "452 4.3.1 queue full"
    monkeypatch.setattr(mail, "LONGEST_BUSY", timedelta())
    with pytest.raises(MailDeferred):
        send(claim)


def test_a_server_whose_answer_is_lost_leaves_the_mail_uncertain(
    claim: Claim, inbox: Inbox, session: Session
) -> None:
    inbox.hangs_up = True
    for once in (False, True):
        work, job = claimed(claim, once=once)
        with pytest.raises(MailUncertain, match="its answer is lost"):
            run(work, job)
        assert state(session, job) == "uncertain"
    assert len(inbox.envelopes) == 2
    assert (SEND_EMAIL.retry.uncertain, SEND_EMAIL_ONCE.retry.uncertain) == (1, 0)


def test_again_means_that_it_is_sent_again(
    claim: Claim, inbox: Inbox, session: Session, sql_now: psycopg.Connection
) -> None:
    inbox.hangs_up = True
    work, job = claimed(claim)
    with pytest.raises(MailUncertain):
        run(work, job)
    inbox.hangs_up = False
    run(work, _again(sql_now, job, "uncertain"))
    first, second = inbox.messages()
    assert first["Message-ID"] == second["Message-ID"]
    assert state(session, job) == "sent"


class Killed(BaseException):
    """The worker's process ends."""


def test_once_means_that_a_worker_that_died_has_left_it_open(
    claim: Claim,
    inbox: Inbox,
    session: Session,
    sql_now: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work, job = claimed(claim, once=True)
    with monkeypatch.context() as patch:
        patch.setattr(transmission, "_final_reply", _raise(Killed()))
        with pytest.raises(Killed):
            run(work, job)
    second = _again(sql_now, job, "crashed")
    with pytest.raises(MailUncertain, match="nobody knows"):
        run(work, second)
    assert state(session, job) == "uncertain"
    # It died again before that was on record.
    third = _again(sql_now, second, "crashed")
    with pytest.raises(MailUncertain, match="nobody knows"):
        run(work, third)
    # A dead letter was made, and a person has replayed it.
    run(work, _again(sql_now, third, "uncertain"))
    assert len(inbox.envelopes) <= 2  # the first may or may not have arrived
    assert state(session, job) == "sent"


@pytest.mark.parametrize("answer", ["451 4.3.0 not now", "452 4.3.1 queue full"])
def test_once_tries_again_what_the_server_did_not_take(
    claim: Claim, inbox: Inbox, session: Session, sql_now: psycopg.Connection, answer: str
) -> None:
    inbox.to_message = answer
    work, job = claimed(claim, once=True)
    with pytest.raises((MailDeferred, ServerBusy)):
        run(work, job)
    inbox.to_message = "250 OK"
    run(work, _again(sql_now, job, "failed"))
    assert state(session, job) == "sent"


def test_a_bounce_that_comes_before_the_server_has_answered_is_not_forgotten(
    claim: Claim, inbox: Inbox, session: Session, engine: Engine
) -> None:
    work, job = claimed(claim)

    def bounce(*_: object) -> None:
        with Session(engine) as other, other.begin():
            emails.record(other, job.id, "bounced", "5.1.1 no such mailbox")

    mail._send(work, job, bounce)
    assert state(session, job) == "bounced"


def _again(database: psycopg.Connection, job: Job, outcome: str) -> Job:
    """The job's next attempt, once the last has ended so."""
    database.execute(END_ATTEMPT, [job.id, job.attempt, outcome])
    database.execute(RUN_AGAIN, [job.id])
    return next_attempt(job)


def _raise(error: BaseException) -> Any:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_old_mails_are_pruned_but_not_those_that_wait_and_what_they_suppressed_stays(
    claim: Claim, session: Session, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emails, "PRUNED_AT_ONCE", 2)
    configure(keep_emails="P10D")
    days = [("sent", 14), ("bounced", 13), ("refused", 12), ("queued", 11), ("sent", 9)]
    ids = [first_id(datetime.now(UTC) - timedelta(days=age)) for _, age in days]
    for id_, (became, _) in zip(ids, days, strict=True):
        emails.add(session, id_, "ada@example.com", None, became)
    suppressions.add(session, "ada@example.com", suppressions.ALL, "bounce", ids[1])
    session.commit()
    job = claim(PRUNE_EMAILS())
    assert mail.prune.function(PruneEmails(), job) == {"pruned": 3}
    assert [each.id for each in session.query(Email).order_by(Email.id)] == ids[3:]
    [left] = session.query(Suppression)
    session.refresh(left)
    assert (left.address, left.email_id) == ("ada@example.com", None)
