"""What mail servers return, as different ones write it."""

from uuid import UUID

import pytest

from service.mail.examples import BOUNCE
from service.mail.returned.delivery_reports import Report, read

MAIL = UUID("01920000-0000-7000-8000-000000000001")

POSTFIX = """\
Return-Path: <>
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
To: bounces@duly.example
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="9B095B5ADSN=_/mx"

--9B095B5ADSN=_/mx
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

<ada@example.com>: host mx[192.0.2.1] said: 552 5.2.2 over quota

--9B095B5ADSN=_/mx
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
X-Postfix-Queue-ID: 9B095B5ADSN
Arrival-Date: Sat, 31 Jan 2026 09:00:00 +0000 (UTC)

Final-Recipient: rfc822; ada@example.com
Original-Recipient: rfc822;ada@example.com
Action: {action}
Status: {status}
Remote-MTA: dns; mx
Diagnostic-Code: smtp; 552 5.2.2 over
    quota

--9B095B5ADSN=_/mx
Content-Description: Undelivered Message
Content-Type: message/rfc822

From: Duly <invoices@duly.example>
To: ada@example.com
Subject: Hello
Message-ID: <{id}@duly.example>

Hello
--9B095B5ADSN=_/mx--
"""

VERP = """\
From: <>
To: bounces+{id}@duly.example
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns;exchange.example

Action: failed
Status: 5.1.10
--b--
"""

COMPLAINT = """\
From: <abuse@example.com>
To: <complaints@duly.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="p"

--p
Content-Type: text/plain

This is an email abuse report.

--p
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1

--p
Content-Type: message/rfc822

From: <invoices@duly.example>
Message-ID: <{id}@duly.example>
Subject: News

Buy now
--p--
"""

HOLIDAY = """\
From: ada@example.com
To: bounces+{id}@duly.example
Subject: I am away
In-Reply-To: <{id}@duly.example>

Back in June.
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("action", "status", "is_hard"),
    [
        ("failed", "5.1.1", True),
        ("Failed", "5.2.1", True),
        ("failed", "5.2.2", False),
        ("failed", "5.7.1", False),
        ("failed", "4.4.7", False),
        ("delayed", "4.4.1", False),
        ("delivered", "2.0.0", False),
    ],
)
def test_a_report_says_what_became_of_which_mail(
    line_end: str, action: str, status: str, is_hard: bool
) -> None:
    raw = POSTFIX.format(id=MAIL, action=action, status=status).replace("\n", line_end)
    report = read(raw.encode())
    assert report == Report((MAIL,), action.lower(), status, "552 5.2.2 over quota")
    assert report.is_hard == is_hard


def test_the_headers_alone_name_the_mail() -> None:
    report = read(BOUNCE.encode())
    assert report
    assert (report.emails, report.status, report.is_hard) == ((MAIL,), "5.1.1", True)


def test_the_return_address_names_the_mail_if_nothing_else_does() -> None:
    report = read(VERP.format(id=MAIL).encode())
    assert report
    assert (report.emails, report.is_hard) == ((MAIL,), True)


def test_a_complaint_is_one() -> None:
    report = read(COMPLAINT.format(id=MAIL).encode())
    assert report
    assert (report.emails, report.action, report.is_hard) == ((MAIL,), "complained", False)


@pytest.mark.parametrize(
    "raw",
    [
        HOLIDAY.format(id=MAIL).encode(),
        b"",
        b"\x00\xff" * 1000,
        b"Content-Type: multipart/report; boundary=\xff\n\n--\xff\nContent-Type: message/rfc822",
        b"Content-Type: message/delivery-status\n\nAction: \xff\xfe\nStatus: x\n",
        b"Content-Type: multipart/report; boundary=b\n\n--b\n" * 500,
        b"Content-Type: message/rfc822\n\n" * 500,
        b"Content-Type: message/rfc822\n\n" * 5000,
        b"Content-Type: text/rfc822-headers\nContent-Transfer-Encoding: base64\n\n!!!",
        BOUNCE.encode()[:300],
    ],
)
def test_whatever_else_arrives_is_no_report(raw: bytes) -> None:
    report = read(raw)
    assert report is None or report.emails == ()
