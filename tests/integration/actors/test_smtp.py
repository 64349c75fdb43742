"""How the connection to the mail server is secured, against servers with certificates."""

import smtplib
import ssl
from asyncio import WriteTransport
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme
from aiosmtpd.smtp import SMTP

from service.mail import server as urls
from service.mail.kinds import SEND_EMAIL
from service.mail.smtp import connected
from tests.support.outside.mail_server import PASSWORD, USER, Inbox, mail_server, secured

LOGIN = f"{quote(USER)}:{quote(PASSWORD, safe='')}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context, with a certificate for 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the test's authority one that this machine trusts."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("query", ["", "?starttls=require"])
def test_a_login_goes_over_verified_tls(context: ssl.SSLContext, query: str) -> None:
    inbox = Inbox()
    with mail_server(inbox, **secured(context)) as address:
        _send(f"smtp://{LOGIN}@{address}{query}")
    assert inbox.secured == [True]


@pytest.mark.usefixtures("trusted")
def test_smtps_is_tls_from_the_first_byte(context: ssl.SSLContext) -> None:
    inbox = Inbox()
    with mail_server(inbox, ssl_context=context) as address:
        _send(f"smtps://{address}")
    assert len(inbox.envelopes) == 1


@pytest.mark.parametrize("login", ["", f"{LOGIN}@"])
def test_a_certificate_that_nobody_trusts_is_not_used_where_tls_is_required(
    context: ssl.SSLContext, login: str
) -> None:
    query = "" if login else "?starttls=require"
    with (
        mail_server(Inbox(), **secured(context)) as address,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        _send(f"smtp://{login}{address}{query}")


def test_tls_is_used_where_it_is_offered_even_if_nobody_trusts_it(context: ssl.SSLContext) -> None:
    inbox = Inbox()
    with mail_server(inbox, tls_context=context) as address:
        _send(f"smtp://{address}")
    assert inbox.secured == [True]


def test_tls_is_left_alone_where_it_shall_never_be(context: ssl.SSLContext) -> None:
    inbox = Inbox()
    with mail_server(inbox, tls_context=context) as address:
        _send(f"smtp://{address}?starttls=never")
    assert inbox.secured == [False]


def test_a_password_is_not_sent_to_a_server_without_tls() -> None:
    with mail_server(Inbox()) as address, pytest.raises(smtplib.SMTPNotSupportedError):
        _send(f"smtp://{LOGIN}@{address}")


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_is_tried_again_as_somebody_will_mend_it(context: ssl.SSLContext) -> None:
    with (
        mail_server(Inbox(), **secured(context)) as address,
        pytest.raises(smtplib.SMTPAuthenticationError) as failure,
    ):
        _send(f"smtp://duly:wrong@{address}")
    assert SEND_EMAIL.retry.allows(failure.value)


def test_a_goodbye_that_fails_does_not_make_the_mail_fail() -> None:
    class HangsUp(Inbox):
        async def handle_QUIT(self, server: SMTP, *_: object) -> str:  # noqa: N802 - aiosmtpd's
            assert isinstance(server.transport, WriteTransport)
            server.transport.abort()
            return "221 Bye"

    inbox = HangsUp()
    with mail_server(inbox) as address:
        _send(f"smtp://{address}")
    assert len(inbox.envelopes) == 1


def _send(url: str) -> None:
    with connected(urls.read(url)) as server:
        server.sendmail("a@example.com", ["b@example.com"], "Subject: Hello\r\n\r\nHello\r\n")
