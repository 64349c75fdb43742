"""What settings are read as."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from outbox.cli.errors import Code, explain
from service.mail.server import MailServer
from service.settings import Settings


def keep_finished(monkeypatch: pytest.MonkeyPatch, given: str) -> timedelta | None:
    """The setting read from such an environment."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost")
    monkeypatch.setenv("AMQP_URL", "amqp://localhost")
    monkeypatch.setenv("DULY_KEEP_FINISHED", given)
    return Settings().keep_finished


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("P7D", timedelta(days=7)),
        ("3600", timedelta(hours=1)),
        ("0", timedelta()),
        ("forever", None),
    ],
)
def test_finished_jobs_are_kept_for_a_duration_or_for_ever(
    monkeypatch: pytest.MonkeyPatch, given: str, read: timedelta | None
) -> None:
    assert keep_finished(monkeypatch, given) == read


@pytest.mark.parametrize(
    "given",
    [
        "",
        "?",
        "mysql://there/db",
        "postgresql+psycopg://me:hunter2@there/db",
        "postgresql://me:hunter2%zz@there/db",
        "postgresql://me:hunter 2@there/db",
        "password=hunter2 no_such_option=1",
    ],
)
def test_what_libpq_cannot_read_as_an_address_is_refused_without_quoting_it(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", given)
    monkeypatch.setenv("AMQP_URL", "amqp://localhost")
    with pytest.raises(ValidationError) as refused:
        Settings()
    said = str(explain(refused.value))
    assert said.startswith("setting DATABASE_URL: ")
    assert "hunter" not in said


@pytest.mark.parametrize(
    "given",
    ["stripe", "ftp://there", "https://me:hunter2@there", "https://there/v1", "https://there?a=b"],
)
def test_what_is_no_address_of_a_provider_is_refused_without_quoting_it(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost")
    monkeypatch.setenv("DULY_STRIPE_URL", given)
    with pytest.raises(ValidationError) as refused:
        Settings()
    said = str(explain(refused.value))
    assert said.startswith("setting DULY_STRIPE_URL: ")
    assert "must be a URL" in said
    assert "hunter" not in said


def test_the_providers_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost")
    monkeypatch.setenv("DULY_STRIPE_KEY", "sk_live_hunter2")
    assert "hunter" not in repr(Settings())


@pytest.mark.parametrize("given", ["-P1D", "P51Y", "never", ""])
def test_what_is_no_time_to_keep_something_for_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    with pytest.raises(ValidationError, match="keep_finished"):
        keep_finished(monkeypatch, given)


BAD: dict[str, list[str]] = {
    "DATABASE_URL": [
        "postgresql://me:hunter/2@there/db",
        "postgresql://me:hunter@2@there/db",
        "postgresql://me:8/hunter@there/db",
        "host=there port=hunter",
        "postgresql://me@there:99999/db",
    ],
    "DULY_LISTEN_URL": ["postgresql://me:hunter@2@there/db", "hunter"],
    "AMQP_URL": [
        "",
        "there",
        "amqp://",
        "http://there",
        "amqp://me:hunter/2@there/",
        "amqp://me:8/hunter@there/",
        "amqp://me:hunter#2@there/",
        "amqp://me:hunter?2@there/",
        "amqp://me:hunter%zz@there:0/",
        "amqp://there:99999/",
        "amqp://there/?heartbeat=hunter",
        "amqp://one;hunter",
    ],
    "DULY_MANAGEMENT_URL": [
        "",
        "there:15672",
        "http://there",
        "http://hunter@there",
        "amqp://me:hunter@there",
        "http://me:8/hunter@there",
        "http://me:hunter#2@there",
        "http://me:hunter@there:99999",
    ],
    "DULY_SMTP_URL": [
        "",
        "mail.example.com",
        "mail.example.com:25",
        "http://there",
        "smtp://",
        "smtp://me:8Hunter2/x@there",
        "smtp://me:8/hunter@there",
        "smtp://me:hunter#2@there",
        "smtp://me:hunter?2@there",
        "smtp://there:0",
        "smtp://there:99999",
        "smtp://there?starttls=hunter",
        "smtp://there?tls=require",
        "smtp://[::1",
    ],
    "DULY_MAIL_FROM": [
        "",
        "nobody",
        "@example.com",
        "a@example.com, b@example.com",
        "Me, Inc. <me@example.com>",
        "jürgen@example.com",
        "me@exa mple.com",
        "me@example.com\nBcc: eve@example.com",
        "=?utf-8?q?x=0A?= <me@example.com>",
    ],
    "DULY_DOCUMENTS_URL": [
        "",
        "/x",
        "file://x",
        "file:///",
        "http://there/x",
        "s3://",
        "s3://key:hunter@bucket/",
    ],
    "DULY_ACTORS": ["", "actors", ":ACTORS", "actors:", "a b:c", "/actors:x"],
    "DULY_WINDOW": ["", "0", "-1", "1e3", "99999999999"],
    "DULY_WORKER_SILENCE": ["", "0", "2", "-10", "nan", "PT48H", "soon"],
    "DULY_REDISPATCH_AFTER": ["0", "P2D", "x"],
    "DULY_IDEMPOTENCY_HOURS": ["0", "99999999999", "x"],
    "DULY_LARGEST_BODY": ["10", "99999999999"],
    "DULY_STRIPE_WEBHOOK_SECRETS": ["hunter", "whsec_", "whsec_a;whsec_hunter", "whsec_a hunter"],
    "DULY_KEEP_HOOK_EVENTS": ["-1", "soon", "P100Y"],
    "DULY_WEBHOOKS_DENY": ["10.0.0.1/8", "there", "10.0.0.0/8;127.0.0.0/8"],
    "DULY_WEBHOOKS_MAY_REACH_PRIVATE": ["perhaps"],
    "DULY_LINKS_SECRET": ["", "hunter"],
    "DULY_KEEP_REPORTS": ["", "never", "-P1D"],
    "DULY_REPORTS_ZONE": ["", "hunter", "right/UTC", "Europe"],
    "DULY_LOG_FORMAT": ["xml", ""],
}


@pytest.mark.parametrize(
    ("name", "given"), [(name, given) for name, forms in BAD.items() for given in forms]
)
def test_a_setting_that_a_job_would_find_wrong_is_refused_at_the_start_without_quoting_it(
    monkeypatch: pytest.MonkeyPatch, name: str, given: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://there/db")
    monkeypatch.setenv("AMQP_URL", "amqp://there")
    monkeypatch.setenv(name, given)
    with pytest.raises(ValidationError) as refused:
        Settings()
    said = explain(refused.value)
    assert str(said).startswith(f"setting {name}: ")
    assert "hunter" not in str(said).lower()
    assert said.code == Code.USAGE


GOOD: dict[str, list[str]] = {
    "DATABASE_URL": [
        "postgresql://me:p%40ss%2Fword@one:5432,two:5433/db?target_session_attrs=read-write",
        "postgresql://me:p#s?s@there/db",
        "postgresql:///db?host=/var/run/postgresql",
        "postgresql://%2Fvar%2Frun/db",
        "postgresql://[::1]:5432/db",
        "host=there user=me password='p@ss /word'",
        "service=shop",
    ],
    "AMQP_URL": [
        "amqp://me:p%40ss%2F@there:5672/%2F",
        "amqps://[::1]/vhost?heartbeat=10",
        "amqp://one;amqp://two",
    ],
    "DULY_MANAGEMENT_URL": ["http://me:p%40ss%2F@there:15672", "https://me:x@there/rabbit"],
    "DULY_SMTP_URL": [
        "smtp://me:p%2Fss@there:587?starttls=require",
        "smtps://there",
        "smtp://[::1]",
    ],
    "DULY_MAIL_FROM": ["me@localhost", '"Me, Inc." <me@bücher.example>', "Grüße <a+b@example.com>"],
    "DULY_DOCUMENTS_URL": ["file:///a%20b/c", "s3://bucket", "s3://bucket/a/b"],
    "DULY_WORKER_SILENCE": ["3", "PT10S"],
    "DULY_STRIPE_WEBHOOK_SECRETS": ["", "whsec_abc", "whsec_abc, whsec_d+e/f=="],
    "DULY_KEEP_HOOK_EVENTS": ["P30D", "forever"],
    "DULY_WEBHOOKS_DENY": ["", "10.0.0.0/8, 2001:db8::/32"],
}


@pytest.mark.parametrize(
    ("name", "given"), [(name, given) for name, forms in GOOD.items() for given in forms]
)
def test_what_can_be_used_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, given: str) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://there/db")
    monkeypatch.setenv("AMQP_URL", "amqp://there")
    monkeypatch.setenv(name, given)
    Settings()


def test_a_mail_servers_url_is_read_once_and_its_password_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://there/db")
    monkeypatch.setenv("AMQP_URL", "amqp://there")
    monkeypatch.setenv("DULY_SMTP_URL", "smtp://me%40x:hunter%2F2@there:587")
    server = Settings().mail_server
    assert server == MailServer("there", 587, False, "require", "me@x", "hunter/2")
    assert "hunter" not in repr(server)
    assert Settings(mail_from="Me <a@bücher.example>").sender.address == "a@xn--bcher-kva.example"
