"""Mails over HTTP: submitted, looked at, suppressed, bounced, unsubscribed from."""

from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import delete
from sqlalchemy.orm import Session

from outbox.operations import jobs
from outbox.operations.api_keys import Scope
from service.files.keeping import keep
from service.mail import emails, suppressions, unsubscribe
from service.mail.examples import BOUNCE, NEW_EMAILS
from service.mail.models import Suppression
from service.settings import Settings
from tests.integration.http.conftest import MakeClient

SECRET = "0123456789abcdef0123456789abcdef"
MAIL: Any = NEW_EMAILS["text and HTML"]["value"]
TEMPLATE: Any = NEW_EMAILS["a template"]["value"]
RAW = {"Content-Type": "application/octet-stream"}
EXAMPLE_ID = "01920000-0000-7000-8000-000000000001"
COMPLAINT = """\
Content-Type: multipart/report; report-type=feedback-report; boundary=p

--p
Content-Type: message/feedback-report

Feedback-Type: abuse

--p
Content-Type: text/rfc822-headers

Message-ID: <{id}@duly.example>

--p--
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a way to unsubscribe."""
    changes = {
        "mail_unsubscribe_url": "https://duly.example/v1/unsubscribe",
        "mail_secret": SecretStr(SECRET),
    }
    return settings.model_copy(update=changes)


@pytest.fixture
def reader(client_with: MakeClient) -> httpx2.Client:
    """A client that may see payloads."""
    return client_with(Scope.ADMIN, Scope.PAYLOADS)


def test_a_mail_and_its_job_are_stored_together(reader: httpx2.Client, session: Session) -> None:
    made = reader.post("/v1/emails", json=MAIL)
    mail = made.json()
    assert (made.status_code, made.headers["location"]) == (202, f"/v1/emails/{mail['id']}")
    assert (mail["to"], mail["category"], mail["state"]) == ("ada@example.com", "news", "queued")
    assert reader.get(made.headers["location"]).json() == mail
    job = jobs.get(session, UUID(mail["id"]))
    assert job
    assert (job.kind, job.payload["html"]) == ("email.send", MAIL["html"])


def test_a_template_is_filled_in_when_the_mail_is_submitted(
    client: httpx2.Client, session: Session
) -> None:
    made = client.post("/v1/emails", json=TEMPLATE).json()
    job = jobs.get(session, UUID(made["id"]))
    assert job
    assert (job.kind, job.payload["subject"]) == ("email.send_once", "Your order")
    assert job.payload["text"] == "Dear Ada,\n\nIt is on its way.\n"
    assert "<p" in job.payload["html"]
    shown = client.get("/v1/mail-templates").json()["mail_templates"]
    assert {"name": "note", "fields": ["message", "name", "subject"]} in shown


def test_a_mail_with_html_alone_gets_a_text(client: httpx2.Client, session: Session) -> None:
    new = {"to": "ada@example.com", "subject": "Hello", "html": "<p>Good <b>morning</b></p>"}
    job = jobs.get(session, UUID(client.post("/v1/emails", json=new).json()["id"]))
    assert job
    assert job.payload["text"] == "Good morning\n"


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"text": None, "html": None}, "body", "needs a subject with text or html, or a template"),
        ({"template": "note"}, "body", "leave them out"),
        ({"data": {"a": 1}}, "body", "data is for a template"),
        ({"html": '<img src="cid:logo">'}, "body", "the HTML shows cid:logo"),
        ({"inline": {"logo": "a.png"}}, "body", "does not show the inline image cid:logo"),
        ({"list_unsubscribe": True, "category": None}, "body", "needs a category"),
        ({"subject": "a\nb"}, "subject", "one line"),
        ({"to": "=?utf-8?q?a?=@example.com"}, "to", "encoded word"),
        ({"reply_to": "jürgen@example.com"}, "reply_to", "ASCII"),
        ({"attachments": ["../x"]}, "attachments.0", ""),
        (
            {"attachments": [{"file": EXAMPLE_ID, "filename": "a.csv"}]},
            "attachments",
            "there is no file",
        ),
    ],
)
def test_what_cannot_be_a_mail_is_refused(
    lasting_client: httpx2.Client, change: dict[str, Any], field: str, said: str
) -> None:
    answer = lasting_client.post("/v1/emails", json=MAIL | change)
    assert answer.status_code == 422, answer.json()
    errors = answer.json()["errors"]
    assert any(each["field"].startswith(field) and said in each["message"] for each in errors), (
        errors
    )


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"template": "none"}, "template", "there is no such template"),
        ({"data": {"name": "Ada", "subject": "x"}}, "data", "'message' is undefined"),
        ({"data": {**TEMPLATE["data"], "nmae": 1}}, "data", "'nmae' is no field"),
        ({"data": {**TEMPLATE["data"], "subject": "x" * 201}}, "subject", "at most 200"),
    ],
)
def test_data_that_a_template_cannot_show_is_refused(
    lasting_client: httpx2.Client, change: dict[str, Any], field: str, said: str
) -> None:
    answer = lasting_client.post("/v1/emails", json=TEMPLATE | change)
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["field"]) == (422, field)
    assert said in error["message"]


def test_unsubscribing_has_to_be_set_up(lasting_client: httpx2.Client) -> None:
    answer = lasting_client.post("/v1/emails", json=MAIL | {"list_unsubscribe": True})
    assert answer.status_code == 422
    assert "DULY_MAIL_UNSUBSCRIBE_URL" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("of", ["attachments", "inline"])
def test_documents_in_a_mail_need_the_scope_that_downloads_them(
    client_with: MakeClient, session: Session, of: str
) -> None:
    file = keep(session, "files/1", size=1, media_type="image/png")
    session.commit()
    each = {"file": str(file.id), "filename": "a.png"}
    mail = {
        "to": "ada@example.com",
        "subject": "Hi",
        "text": "",
        "html": '<img src="cid:a">' if of == "inline" else "<p>",
        of: {"a": each} if of == "inline" else [each],
    }
    may_submit, may_read = client_with(Scope.SUBMIT), client_with(Scope.SUBMIT, Scope.READ)
    job = {"kind": "email.send", "payload": mail}
    assert may_submit.post("/v1/emails", json=mail).status_code == 403
    assert may_submit.post("/v1/jobs", json=job).status_code == 403
    assert may_read.post("/v1/emails", json=mail).status_code == 202
    assert may_read.post("/v1/jobs", json=job).status_code == 202


def test_addresses_are_hidden_without_the_scope_and_a_look_is_on_record(
    client: httpx2.Client, reader: httpx2.Client, session: Session, sql_now: psycopg.Connection
) -> None:
    made = client.post("/v1/emails", json=MAIL).json()
    emails.record(session, UUID(made["id"]), "refused", "550 5.1.1 <ada@example.com>")
    suppressions.add(session, "ada@example.com", "*", "bounce", UUID(made["id"]))
    session.commit()
    paths = ("/v1/emails", made["links"]["self"], "/v1/suppressions")
    for path in paths:
        answer = client.get(path).text
        assert "ada@example.com" not in answer
        assert "[redacted]" in answer
    looks = "SELECT count(*) FROM duly.acts WHERE act = 'look'"
    assert sql_now.execute(looks).fetchone() == (0,)
    for path in paths:
        assert "ada@example.com" in reader.get(path).text
    assert sql_now.execute(looks).fetchone() == (3,)
    assert client.get("/v1/suppressions?address=ada@example.com").status_code == 403


def test_mails_are_listed_by_their_state(client: httpx2.Client, session: Session) -> None:
    ids = [client.post("/v1/emails", json=MAIL).json()["id"] for _ in range(3)]
    emails.record(session, UUID(ids[1]), "uncertain")
    session.commit()
    [found] = client.get("/v1/emails?state=uncertain").json()["emails"]
    assert found["id"] == ids[1]
    first = client.get("/v1/emails?limit=2").json()
    second = client.get(f"/v1/emails?limit=2&cursor={first['next_cursor']}").json()
    assert [each["id"] for each in first["emails"] + second["emails"]] == ids[::-1]


def test_an_address_is_suppressed_and_let_go_on_record(
    reader: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    new = {"address": "Ada@Bücher.example", "category": "news"}
    made = reader.post("/v1/suppressions?why=asked", json=new)
    assert (made.status_code, made.json()["reason"]) == (201, "person")
    assert reader.post("/v1/suppressions", json=new).json()["id"] == made.json()["id"]
    [found] = reader.get("/v1/suppressions?address=ada@bücher.example").json()["suppressions"]
    assert found["address"] == "ada@xn--bcher-kva.example"

    mail = reader.post("/v1/emails", json=MAIL | {"to": "ADA@bücher.example"}).json()
    assert mail["state"] == "suppressed"
    assert reader.get(mail["links"]["job"]).status_code == 404
    other = MAIL | {"to": "ada@bücher.example", "category": "invoices"}
    assert reader.post("/v1/emails", json=other).json()["state"] == "queued"

    assert reader.delete(f"/v1/suppressions/{found['id']}?why=sorry").status_code == 204
    assert reader.delete(f"/v1/suppressions/{found['id']}").status_code == 404
    acts = "SELECT act, why FROM duly.acts WHERE act LIKE 'suppression%' ORDER BY id"
    assert sql_now.execute(acts).fetchall() == [
        ("suppression-create", "asked"),
        ("suppression-create", None),
        ("suppression-delete", "sorry"),
    ]


def test_a_hard_bounce_suppresses_and_a_soft_one_counts(
    client: httpx2.Client, session: Session
) -> None:
    ids = [client.post("/v1/emails", json=MAIL).json()["id"] for _ in range(6)]
    full = BOUNCE.replace("5.1.1", "5.2.2")
    soft = [_bounce(client, full, each) for each in ids[:4]]
    assert [each["is_suppressed"] for each in soft] == [False] * 4
    assert _bounce(client, full, ids[0]) == soft[0]  # the same report again
    assert client.get(f"/v1/emails/{ids[0]}").json()["state"] == "bounced"
    assert _bounce(client, full, ids[4])["is_suppressed"]
    session.execute(delete(Suppression))
    session.commit()
    hard = _bounce(client, BOUNCE, ids[5])
    assert hard == {"outcome": "bounced", "email_id": ids[5], "is_suppressed": True}
    [suppressed] = client.get("/v1/suppressions").json()["suppressions"]
    assert (suppressed["reason"], suppressed["category"]) == ("bounce", "*")
    assert client.post("/v1/emails", json=MAIL).json()["state"] == "suppressed"


def test_a_complaint_suppresses_and_the_mail_stays_sent(
    client: httpx2.Client, session: Session
) -> None:
    mail = client.post("/v1/emails", json=MAIL).json()
    emails.record(session, UUID(mail["id"]), "sent")
    session.commit()
    assert _bounce(client, COMPLAINT.replace("{id}", mail["id"]), mail["id"]) == {
        "outcome": "complained",
        "email_id": mail["id"],
        "is_suppressed": True,
    }
    assert client.get(f"/v1/emails/{mail['id']}").json()["state"] == "sent"


def test_what_is_about_no_mail_of_ours_suppresses_nobody(client: httpx2.Client) -> None:
    made_up = _bounce(client, BOUNCE, str(uuid4()))
    assert made_up == {"outcome": "ignored", "email_id": None, "is_suppressed": False}
    assert client.post("/v1/mail-bounces", headers=RAW).status_code == 422
    answer = client.post("/v1/mail-bounces", content=b"\xff\x00", headers=RAW)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "ignored")
    assert client.get("/v1/suppressions").json()["suppressions"] == []


def test_a_receiver_unsubscribes_without_a_key_from_this_category_alone(
    address: str, client: httpx2.Client
) -> None:
    mail = client.post("/v1/emails", json=MAIL | {"list_unsubscribe": True}).json()
    path = f"/v1/unsubscribe/{unsubscribe.token(UUID(mail['id']), SECRET)}"
    with httpx2.Client(base_url=address) as receiver:
        page = receiver.get(path)
        assert "“news”" in page.text
        assert page.headers["content-type"].startswith("text/html")
        assert client.get("/v1/suppressions").json()["suppressions"] == []
        for _ in range(2):
            click = receiver.post(path, data={"List-Unsubscribe": "One-Click"})
            assert (click.status_code, click.json()) == (200, {"category": "news"})
        for wrong in (
            unsubscribe.token(UUID(mail["id"]), "x" * 32),
            unsubscribe.token(uuid4(), SECRET),
        ):
            assert receiver.post(f"/v1/unsubscribe/{wrong}").status_code == 404
        assert receiver.post("/v1/unsubscribe/x").status_code == 422
    [found] = client.get("/v1/suppressions").json()["suppressions"]
    assert (found["reason"], found["category"], found["email_id"]) == (
        "unsubscribe",
        "news",
        mail["id"],
    )
    assert client.post("/v1/emails", json=MAIL).json()["state"] == "suppressed"
    other = MAIL | {"category": "invoices"}
    assert client.post("/v1/emails", json=other).json()["state"] == "queued"


def _bounce(client: httpx2.Client, raw: str, mail_id: str) -> Any:
    content = raw.replace(EXAMPLE_ID, mail_id).encode()
    answer = client.post("/v1/mail-bounces", content=content, headers=RAW)
    assert answer.status_code == 200, answer.text
    return answer.json()
