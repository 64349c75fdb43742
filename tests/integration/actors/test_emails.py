import re
import smtplib
import socket
from base64 import b64decode
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from typing import Any

import pytest
from pydantic import ValidationError

from actors import ACTORS
from actors.mailing import transmission
from actors.mailing.transmission import MailDeferred, MailUncertain, ServerBusy
from outbox import Uncertain
from service.documents.store import DocumentMissing, documents
from service.mail import smtp
from service.mail.kinds import SEND_EMAIL, MailRefused, SendEmail
from tests.integration.actors.conftest import Claim, Configure, next_attempt
from tests.support.outside.mail_server import Inbox, mail_server

TEXT = "Dear Ada,\n\nthe secret is 4711. Grüße\n"

INJECTION = "=?utf-8?q?x=0AReply-To=3A_evil=40x.example=0A=0A=3Ch1=3EPay=3C/h1=3E?="
HEADERS = [
    *(b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted"),
    *(b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding"),
]

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
    inbox.to_message = "451 4.3.0 come back later"
    for attempt in (job, next_attempt(job)):
        with pytest.raises(MailDeferred):
            send(work, attempt)
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


@pytest.mark.parametrize("domain", ["bücher.example", "xn--bcher-kva.example"])
def test_an_international_domain_is_written_in_a_labels(
    claim: Claim, inbox: Inbox, configure: Configure, domain: str
) -> None:
    configure(mail_from=f"Duly <invoices@{domain}>")
    result = _send(claim, to=f"ada@{domain}")
    [envelope], wire = inbox.envelopes, _wire(inbox)
    assert envelope.rcpt_tos == ["ada@xn--bcher-kva.example"]
    assert envelope.mail_from == "invoices@xn--bcher-kva.example"
    assert b"\r\nTo: ada@xn--bcher-kva.example\r\n" in wire
    assert b"From: Duly <invoices@xn--bcher-kva.example>\r\n" in wire
    assert result["message_id"].endswith("@xn--bcher-kva.example>")
    assert f"Message-ID: {result['message_id']}".encode() in wire
    assert wire.isascii()


@pytest.mark.parametrize("local", [INJECTION, "=?utf-8?b?eA==?="])
def test_an_address_that_a_mail_server_may_not_take_is_refused_before(local: str) -> None:
    with pytest.raises(ValidationError, match="before the @-sign"):
        _mail(to=f"{local}@example.com")


@pytest.mark.parametrize(
    "control", ["\r", "\n", "\x0b", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"]
)
def test_a_subject_is_one_line_without_control_characters(control: str) -> None:
    with pytest.raises(ValidationError, match="one line"):
        _mail(subject=f"Hello{control}Bcc: eve@example.com")


@pytest.mark.parametrize(
    "subject",
    [
        INJECTION,
        f"Invoice {INJECTION} and more",
        f"Grüße {INJECTION}",
        INJECTION + " " + INJECTION,
        "=?utf-8?b?eApSZXBseS1UbzogZXZpbEB4LmV4YW1wbGUKCjxoMT4=?=",
        "=?us-ascii?Q?=0D=0ABcc=3A_eve=40x.example?=",
        "a " * 90 + "end",
    ],
)
def test_a_subject_is_read_as_the_text_that_was_given(
    claim: Claim, inbox: Inbox, subject: str
) -> None:
    _send(claim, subject=subject)
    heads, _, body = _wire(inbox).partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in re.split(rb"\r\n(?![ \t])", heads)]
    assert sorted(names) == sorted(HEADERS)
    folded = message_from_bytes(heads + b"\r\n\r\n")["Subject"]
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", folded)
    assert str(make_header(decode_header(unfolded))) == subject
    assert b64decode(body).decode().replace("\r\n", "\n") == TEXT


def test_a_line_of_one_dot_does_not_end_the_mail(claim: Claim, inbox: Inbox) -> None:
    documents().put("dots.eml", b"a\r\n.\r\nb\r\n")
    _send(claim, text=".\n..\nend\n", attachments=("dots.eml",))
    text, attached = inbox.messages()[0].iter_parts()
    assert text.get_content().replace("\r\n", "\n") == ".\n..\nend\n"
    assert attached.get_payload(decode=True) == b"a\r\n.\r\nb\r\n"


def test_a_server_may_think_for_longer_than_a_step_may_take(
    claim: Claim, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 0.2)
    inbox.thinks_seconds = 0.5
    _send(claim)
    assert len(inbox.envelopes) == 1


def test_a_mail_whose_answer_is_lost_is_uncertain(
    claim: Claim, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transmission, "ANSWER_SECONDS", 0.1)
    inbox.thinks_seconds = 0.5
    with pytest.raises(MailUncertain, match="its answer is lost") as failure:
        _send(claim)
    assert isinstance(failure.value, Uncertain)
    assert (SEND_EMAIL.retry.uncertain, SEND_EMAIL.retry.allows(failure.value)) == (1, True)


def test_the_time_limit_leaves_the_server_its_time() -> None:
    steps_before = timedelta(seconds=6 * smtp.TIMEOUT_SECONDS)
    assert SEND_EMAIL.time_limit > steps_before + timedelta(seconds=transmission.ANSWER_SECONDS)


def test_a_server_that_is_away_is_tried_again(claim: Claim, configure: Configure) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = listening.getsockname()[1]
    configure(smtp_url=f"smtp://127.0.0.1:{closed}")
    with pytest.raises(ConnectionRefusedError) as failure:
        _send(claim)
    assert SEND_EMAIL.retry.allows(failure.value)


def test_a_server_that_hangs_up_is_tried_again(claim: Claim, inbox: Inbox) -> None:
    inbox.to_message = "421 4.3.2 shutting down"
    with pytest.raises((ServerBusy, smtplib.SMTPServerDisconnected)) as failure:
        _send(claim)
    assert SEND_EMAIL.retry.allows(failure.value)


def _wire(inbox: Inbox) -> bytes:
    content = inbox.envelopes[0].original_content
    assert content is not None
    return content


def _send(claim: Claim, **fields: Any) -> Any:
    work = _mail(**fields)
    job = claim(SEND_EMAIL(**work.model_dump()))
    send(work, job)
    return job.result


def _mail(**fields: Any) -> SendEmail:
    return SendEmail(**{"to": "ada@example.com", "subject": "Hello", "text": TEXT} | fields)
