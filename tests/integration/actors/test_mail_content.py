"""What a mail looks like on its way: its parts, its addresses, its signature, its size."""

import io
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from PIL import Image
from sqlalchemy.orm import Session

from actors.mailing import parts
from service.documents.store import documents
from service.files.keeping import FileMissing, find, keep
from service.mail import unsubscribe
from service.mail.kinds import MailRefused
from tests.integration.actors.conftest import Claim, Configure
from tests.integration.actors.mails import send
from tests.support.outside.mail_server import Inbox, mail_server

SECRET = "0123456789abcdef0123456789abcdef"
ADDRESS = "https://duly.example/v1/unsubscribe"
HTML = '<p>Grüße, <b>Ada</b></p><img src="cid:logo" alt="Duly">'


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Inbox, str]]:
    """One server for all tests of this module: what it offers does not change."""
    inbox = Inbox()
    with mail_server(inbox, enable_SMTPUTF8=True, data_size_limit=200_000) as address:
        yield inbox, address


@pytest.fixture
def inbox(server: tuple[Inbox, str], configure: Configure) -> Inbox:
    inbox, address = server
    inbox.envelopes.clear()
    configure(smtp_url=f"smtp://{address}", mail_from="Duly <invoices@duly.example>")
    return inbox


@pytest.fixture
def png() -> bytes:
    image = io.BytesIO()
    Image.new("RGB", (2, 2), "red").save(image, "PNG")
    return image.getvalue()


def test_html_comes_with_its_text_its_images_and_its_attachments(
    claim: Claim, inbox: Inbox, png: bytes
) -> None:
    documents().put("images/logo.png", png)
    documents().put("invoices/1.pdf", b"%PDF-\x00\xff")
    send(claim, html=HTML, inline={"logo": "images/logo.png"}, attachments=("invoices/1.pdf",))
    message = _only(inbox)
    assert _types(message) == [
        "multipart/mixed",
        ["multipart/alternative", "text/plain", ["multipart/related", "text/html", "image/png"]],
        "application/pdf",
    ]
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text
    assert html
    assert (text.get_content(), html.get_content()) == ("Good morning.\n", HTML)
    image = next(each for each in message.walk() if each.get_content_type() == "image/png")
    assert (image["Content-ID"], image.get_content_disposition()) == ("<logo>", "inline")
    assert image.get_content() == png


def test_a_mail_without_documents_has_no_needless_parts(claim: Claim, inbox: Inbox) -> None:
    send(claim, html="<p>Hello</p>")
    assert _types(_only(inbox)) == ["multipart/alternative", "text/plain", "text/html"]


def test_files_are_attached_under_the_name_that_was_asked_for(
    claim: Claim, inbox: Inbox, session: Session
) -> None:
    documents().put("files/1", b"a,b\n")
    file = keep(session, "files/1", size=4, media_type="text/csv", expires_in=timedelta())
    session.commit()
    send(claim, attachments=({"file": str(file.id), "filename": "Übersicht 山.csv"},))
    [attached] = _only(inbox).iter_attachments()
    assert attached.get_filename() == "Übersicht 山.csv"
    assert attached.get_content_type() == "text/csv"
    assert attached.get_payload(decode=True) == b"a,b\n"
    assert find(session, file.id).name == "files/1"


def test_a_file_that_is_gone_sends_nothing(claim: Claim, inbox: Inbox) -> None:
    gone = {"file": "01234567-89ab-7cde-8f01-23456789abcd", "filename": "a.csv"}
    with pytest.raises(FileMissing):
        send(claim, attachments=(gone,))
    assert inbox.envelopes == []


def test_all_bytes_and_lines_are_such_as_every_server_takes(claim: Claim, inbox: Inbox) -> None:
    long_lines = "ä" * 3000 + "\n" + "x" * 3000 + "\n.\n..\n"
    send(claim, text=long_lines, html=f"<p>{long_lines}</p>", subject="山" * 200)
    wire = _wire(inbox)
    assert wire.isascii()
    assert max(map(len, wire.split(b"\r\n"))) <= 998
    body = _only(inbox).get_body(("plain",))
    assert body
    assert body.get_content().replace("\r\n", "\n") == long_lines


@pytest.mark.parametrize(
    "text",
    [
        "محمد علي",
        "\u05e0\u05d5\u05e2\u05d4",
        "प्रिया",
        "สมชาย",
        "山田太郎",
        "🚀 Labs",
    ],
)
def test_subject_sender_and_text_arrive_in_any_script(
    claim: Claim, inbox: Inbox, configure: Configure, text: str
) -> None:
    configure(mail_from=f"{text} <invoices@duly.example>")
    send(claim, subject=f"Invoice for {text}", text=f"{text}\n", html=f"<p>{text}</p>")
    message = _only(inbox)
    body, html = message.get_body(("plain",)), message.get_body(("html",))
    assert message["Subject"] == f"Invoice for {text}"
    assert message["From"].addresses[0].display_name == text
    assert body
    assert html
    assert (body.get_content(), html.get_content()) == (f"{text}\n", f"<p>{text}</p>")


def test_a_receiver_whose_name_is_not_ascii_gets_it_in_utf8(claim: Claim, inbox: Inbox) -> None:
    send(claim, to="jürgen@bücher.example")
    [envelope] = inbox.envelopes
    assert envelope.rcpt_tos == ["jürgen@xn--bcher-kva.example"]
    assert envelope.smtp_utf8
    assert "\r\nTo: jürgen@xn--bcher-kva.example\r\n".encode() in _wire(inbox)


def test_a_server_that_does_not_offer_utf8_is_not_given_such_a_receiver(
    claim: Claim, configure: Configure
) -> None:
    other = Inbox()
    with mail_server(other, enable_SMTPUTF8=False) as address:
        configure(smtp_url=f"smtp://{address}")
        with pytest.raises(MailRefused, match="SMTPUTF8, which the mail server does not offer"):
            send(claim, to="jürgen@example.com")
    assert other.envelopes == []


def test_a_mail_over_the_servers_size_is_refused_before_it_is_sent(
    claim: Claim, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents().put("large.bin", bytes(200_000))
    with pytest.raises(MailRefused, match="bytes, and the server takes 200,000"):
        send(claim, attachments=("large.bin",))
    monkeypatch.setattr(parts, "LARGEST", 100_000)
    with pytest.raises(MailRefused, match="200,000 bytes, of 100,000 at most"):
        send(claim, attachments=("large.bin",))
    assert inbox.envelopes == []


def test_replies_and_bounces_go_where_they_belong(
    claim: Claim, inbox: Inbox, configure: Configure
) -> None:
    configure(mail_bounces_to="bounces@bücher.example")
    job = send(claim, reply_to="help@bücher.example")
    assert inbox.envelopes[0].mail_from == f"bounces+{job.id}@xn--bcher-kva.example"
    assert _only(inbox)["Reply-To"] == "help@xn--bcher-kva.example"
    assert _only(inbox)["Auto-Submitted"] == "auto-generated"


def test_a_receiver_unsubscribes_with_one_click(
    claim: Claim, inbox: Inbox, configure: Configure
) -> None:
    configure(mail_unsubscribe_url=ADDRESS, mail_secret=SECRET)
    job = send(claim, category="news", list_unsubscribe=True)
    message = _only(inbox)
    link = message["List-Unsubscribe"].strip(" <>")
    assert link.startswith(f"{ADDRESS}/")
    assert unsubscribe.email_id(link.rpartition("/")[2], SECRET) == job.id
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    send(claim, category="news")
    assert "List-Unsubscribe" not in inbox.messages()[1]


def test_a_signature_holds_and_covers_what_matters(
    claim: Claim, inbox: Inbox, configure: Configure, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "dkim.pem").write_bytes(pem)
    configure(
        dkim_key=tmp_path / "dkim.pem",
        dkim_selector="m1",
        mail_unsubscribe_url=ADDRESS,
        mail_secret=SECRET,
    )
    send(claim, html="<p>.\n..</p>", text=".\n..\n\n\n", category="news", list_unsubscribe=True)
    wire = _wire(inbox)
    resolve = _published(key.public_key())
    verify: Any = dkim.verify
    assert verify(wire, dnsfunc=resolve)
    for header in (b"Subject: ", b"List-Unsubscribe: ", b"List-Unsubscribe-Post: ", b"To: "):
        assert not verify(wire.replace(b"\n" + header, b"\n" + header + b"x"), dnsfunc=resolve)
    assert not verify(b"From: eve@duly.example\r\n" + wire, dnsfunc=resolve)


def _published(key: rsa.RSAPublicKey) -> Any:
    """Answers as the name server of the domain does that publishes the key."""
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    record = b"v=DKIM1; k=rsa; p=" + b64encode(der)

    def resolve(name: bytes, timeout: int = 5) -> bytes | None:
        return record if name == b"m1._domainkey.duly.example." else None

    return resolve


def _only(inbox: Inbox) -> EmailMessage:
    [message] = inbox.messages()
    return message


def _wire(inbox: Inbox) -> bytes:
    content = inbox.envelopes[0].original_content
    assert content
    return content


def _types(message: Any) -> Any:
    if not message.is_multipart():
        return message.get_content_type()
    return [message.get_content_type(), *map(_types, message.iter_parts())]
