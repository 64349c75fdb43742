"""What the doctor says of a mail server, a document store and a Stripe that cannot be used."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dev.ports import free_port
from dev.stripe.answers import Answer
from dev.stripe.provider import KEY, Provider, Request
from outbox.doctor import Finding, Level, Setup
from outbox.doctor.examine import examine_with
from service.settings import Settings
from service.setup_checks import CHECKS
from tests.integration.s3 import s3_server
from tests.support.outside.mail_server import Inbox, mail_server
from tests.support.outside.stripe import stripe_server


def _find(name: str, setup: Setup, **settings: object) -> Finding:
    given = setup.settings.model_dump(by_alias=True) | settings
    changed = replace(setup, settings=Settings.model_validate(given))
    (finding,) = examine_with([each for each in CHECKS if each.name == name], changed)
    return finding


@pytest.fixture
def setup(setup: Setup, tmp_path: Path) -> Setup:
    """With a document store that is well."""
    settings = setup.settings.model_copy(update={"documents_url": tmp_path.as_uri()})
    return replace(setup, settings=settings)


def test_a_mail_server_that_answers_and_one_that_is_away(setup: Setup) -> None:
    with mail_server(Inbox()) as address:
        assert _find("mail-server", setup, smtp_url=f"smtp://{address}").level is Level.OK
        # It offers no TLS, which a password needs.
        found = _find("mail-server", setup, smtp_url=f"smtp://anna:hunter2@{address}")
        assert found.level is Level.ERROR
        assert "hunter2" not in str(found)
    found = _find("mail-server", setup, smtp_url=f"smtp://127.0.0.1:{free_port()}")
    assert (found.level, found.change) == (Level.ERROR, "start it, or correct DULY_SMTP_URL")


def test_a_folder_of_documents_that_is_there_missing_or_not_to_be_read(
    setup: Setup, tmp_path: Path
) -> None:
    assert _find("documents", setup).level is Level.OK
    missing = tmp_path / "missing"
    found = _find("documents", setup, documents_url=missing.as_uri())
    assert found.level is Level.WARNING
    assert not missing.exists()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server without any bucket."""
    with s3_server() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        yield


@pytest.mark.usefixtures("s3")
def test_a_bucket_that_is_missing(setup: Setup) -> None:
    found = _find("documents", setup, documents_url="s3://nowhere/prefix")
    assert (found.level, found.found) == (Level.ERROR, "there is no bucket nowhere")


class Refusing(Provider):
    """Answers all requests with one status."""

    status = 404

    def answer(self, _: Request) -> Answer:
        """Without looking at the request."""
        return Answer(self.status, {})


def test_stripe_with_a_key_without_one_and_away(setup: Setup) -> None:
    assert _find("stripe", setup).level is Level.SKIPPED
    with stripe_server(Provider()) as server:
        found = _find("stripe", setup, stripe_url=server.url, stripe_key=KEY)
        assert found.level is Level.OK
        found = _find("stripe", setup, stripe_url=server.url, stripe_key="sk_wrong")
        assert (found.level, found.change) == (Level.ERROR, "correct DULY_STRIPE_KEY")
    refusing = Refusing()
    with stripe_server(refusing) as server:
        found = _find("stripe", setup, stripe_url=server.url, stripe_key="sk_1")
        assert (found.level, found.found) == (Level.ERROR, f"{server.url} answers 404")
        refusing.status = 403
        found = _find("stripe", setup, stripe_url=server.url, stripe_key="rk_1")
        assert found.level is Level.SKIPPED
    away = _find("stripe", setup, stripe_url=f"http://127.0.0.1:{free_port()}", stripe_key="sk_1")
    assert away.level is Level.ERROR
    assert "sk_1" not in str(away)


def test_an_api_looks_at_what_it_needs_itself(setup: Setup) -> None:
    api = replace(setup, actors=None)
    assert _find("mail-server", api).level is _find("stripe", api).level is Level.SKIPPED
    assert _find("documents", api).level is Level.OK
