"""Example request bodies for the API's documentation. They work as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi.openapi.models import Example

NEW_JOBS: dict[str, Example] = {
    "a mail": {
        "value": {
            "kind": "email.send",
            "payload": {"to": "ada@example.com", "subject": "Hello", "text": "Good morning."},
        }
    },
    "a mail, later": {
        "value": {
            "kind": "email.send",
            "payload": {"to": "ada@example.com", "subject": "Hello", "text": "Happy new year."},
            "run_at": "2031-01-01T00:00:00+01:00",
            "priority": "low",
        }
    },
}

NEW_EMAILS: dict[str, Example] = {
    "text and HTML": {
        "value": {
            "to": "ada@example.com",
            "subject": "Hello",
            "text": "Good morning.",
            "html": "<p>Good <b>morning</b>.</p>",
            "category": "news",
        }
    },
    "a template": {
        "value": {
            "to": "ada@example.com",
            "template": "note",
            "data": {"subject": "Your order", "name": "Ada", "message": "It is on its way."},
            "when_uncertain": "stop",
        }
    },
}

NEW_SUPPRESSIONS: dict[str, Example] = {
    "no mail at all": {"value": {"address": "ada@example.com"}},
    "no news": {"value": {"address": "ada@example.com", "category": "news"}},
}

BOUNCE = """\
From: MAILER-DAEMON@mx.example.com
To: bounces@example.com
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; ada@example.com
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such mailbox

--b
Content-Type: text/rfc822-headers

Message-ID: <01920000-0000-7000-8000-000000000001@example.com>

--b--
"""
