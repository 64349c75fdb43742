import smtplib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from actors import ACTORS
from actors.emails import MailDeferred
from service.documents import DocumentMissing, documents
from service.kinds import SEND_EMAIL, MailRefused, SendEmail
from tests.integration.actors.conftest import Claim, Configure, next_attempt
from tests.integration.actors.mail_server import Inbox, mail_server

TEXT = "Dear Ada,\n\nthe secret is 4711. Grüße\n"

send = ACTORS["email.send"].function


@pytest.fixture
def inbox(configure: Configure) -> Iterator[Inbox]:
    inbox = Inbox()
    with mail_server(inbox) as address:
        configure(smtp_url=f"smtp://{address}", mail_from="Duly <invoices@duly.example>")
        yield inbox


def test_the_mail_arrives_as_it_was_asked_for(claim: Claim, inbox: Inbox) -> None:
    result = _send(claim, subject="Grüße & 山")
    [message] = inbox.messages()
    assert inbox.envelopes[0].rcpt_tos == ["ada@example.com"]
    assert inbox.envelopes[0].mail_from == "invoices@duly.example"
    assert message["From"] == "Duly <invoices@duly.example>"
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "Grüße & 山"
    assert message["Date"].datetime.tzinfo is not None
    assert message.get_content().replace("\r\n", "\n") == TEXT
    assert result == {"message_id": message["Message-ID"]}


def test_each_attempt_sends_the_same_message_id(claim: Claim, inbox: Inbox) -> None:
    work = _mail()
    job = claim(SEND_EMAIL(**work.model_dump()))
    send(work, job)
    send(work, next_attempt(job))
    first, second = inbox.messages()
    assert first["Message-ID"] == second["Message-ID"] == f"<{job.id}@duly.example>"


def test_attachments_come_from_the_document_store(claim: Claim, inbox: Inbox) -> None:
    documents().put("invoices/1.pdf", b"%PDF-\x00\xff")
    documents().put("notes/unknown.kind", b"anything")
    _send(claim, attachments=("invoices/1.pdf", "notes/unknown.kind"))
    pdf, other = inbox.messages()[0].iter_attachments()
    assert (pdf.get_filename(), pdf.get_content_type()) == ("1.pdf", "application/pdf")
    assert pdf.get_content() == b"%PDF-\x00\xff"
    assert other.get_content_type() == "application/octet-stream"


def test_a_missing_attachment_sends_nothing(claim: Claim, inbox: Inbox) -> None:
    with pytest.raises(DocumentMissing):
        _send(claim, attachments=("invoices/none.pdf",))
    assert inbox.envelopes == []


@pytest.mark.parametrize("where", ["to_recipient", "to_message"])
def test_a_4xx_answer_is_retried(claim: Claim, inbox: Inbox, where: str) -> None:
    setattr(inbox, where, "451 4.3.0 come back later")
    with pytest.raises(MailDeferred, match=r"451 4\.3\.0 come back later") as failure:
        _send(claim)
    assert SEND_EMAIL.retry.allows(failure.value)
    assert "4711" not in str(failure.value)


@pytest.mark.parametrize("where", ["to_recipient", "to_message"])
def test_a_5xx_answer_is_final(claim: Claim, inbox: Inbox, where: str) -> None:
    setattr(inbox, where, "550 5.1.1 no such mailbox")
    with pytest.raises(MailRefused, match=r"550 5\.1\.1 no such mailbox") as failure:
        _send(claim)
    assert not SEND_EMAIL.retry.allows(failure.value)
    assert "4711" not in str(failure.value)


def test_an_address_that_the_server_cannot_take_is_final(
    claim: Claim, configure: Configure
) -> None:
    with mail_server(Inbox(), enable_SMTPUTF8=False) as address:
        configure(smtp_url=f"smtp://{address}")
        with pytest.raises(MailRefused, match="ASCII"):
            _send(claim, to="jürgen@example.com")


@pytest.mark.parametrize("separator", ["\x0b", "\x85", "\u2028"])
def test_odd_ends_of_line_in_the_subject_make_no_header(
    claim: Claim, inbox: Inbox, separator: str
) -> None:
    _send(claim, subject=f"Hello{separator}Bcc: eve@example.com")
    assert inbox.messages()[0]["Subject"] == "Hello Bcc: eve@example.com"
    assert inbox.messages()[0]["Bcc"] is None


def test_a_server_that_is_away_is_tried_again(claim: Claim, configure: Configure) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = listening.getsockname()[1]
    configure(smtp_url=f"smtp://127.0.0.1:{closed}")
    with pytest.raises(ConnectionRefusedError) as failure:
        _send(claim)
    assert SEND_EMAIL.retry.allows(failure.value)


def test_a_server_that_hangs_up_is_tried_again(claim: Claim, inbox: Inbox) -> None:
    inbox.to_message = "421 4.3.2 shutting down"
    with pytest.raises((MailDeferred, smtplib.SMTPServerDisconnected)) as failure:
        _send(claim)
    assert SEND_EMAIL.retry.allows(failure.value)


def _send(claim: Claim, **fields: Any) -> Any:
    work = _mail(**fields)
    return send(work, claim(SEND_EMAIL(**work.model_dump())))


def _mail(**fields: Any) -> SendEmail:
    return SendEmail(**{"to": "ada@example.com", "subject": "Hello", "text": TEXT} | fields)
