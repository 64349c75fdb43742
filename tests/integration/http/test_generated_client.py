"""A client that was generated from the API's description does what a person would do by hand."""

import importlib
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import psycopg
import pytest
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType
from sqlalchemy.orm import Session

from dev.say import CHECKOUT
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from service.invoices.examples import NEW_INVOICES
from service.subjects import NEW_JOBS
from tests.support.service.lives import claim, die, succeed

PACKAGE = "duly_client"
PAGE = (CHECKOUT / "docs" / "generated-clients.md").read_text()


class Generated:
    """The client's models, and its operations for one API key."""

    def __init__(self, address: str, key: str, client: Any) -> None:
        self.address, self.key = address, key
        self.models = importlib.import_module(f"{PACKAGE}.models")
        self._client = client

    def call(self, operation: str, *arguments: Any, **named: Any) -> Any:
        """What the operation answers, as the client parsed it."""
        module = importlib.import_module(f"{PACKAGE}.api.{operation}")
        return module.sync(*arguments, client=self._client, **named)


@pytest.fixture(scope="module")
def package(
    lasting_client: httpx2.Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A client made as the page says from what a server says of itself."""
    folder = tmp_path_factory.mktemp("generated")
    written = folder / "client.yaml"
    written.write_text(_block("yaml") + "post_hooks: []\nhttp_timeout: 30\n")
    config = Config.from_sources(
        config_file=ConfigFile.load_from_path(written),
        meta_type=MetaType.NONE,
        document_source=f"{lasting_client.base_url}/openapi.json",
        file_encoding="utf-8",
        overwrite=False,
        output_path=folder / PACKAGE,
    )
    assert generate(config=config) == []
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module(PACKAGE)


@pytest.fixture
def generated(package: Any, address: str, session: Session) -> Iterator[Generated]:
    """The client with a key that may do everything but see payloads."""
    key = api_keys.create(session, "shop", [Scope.ADMIN], by="ops")
    session.commit()
    with package.AuthenticatedClient(base_url=address, token=key) as client:
        yield Generated(address, key, client)


def test_an_invoice_is_followed_from_its_post_to_its_replay(
    generated: Generated, sql_now: psycopg.Connection
) -> None:
    models, call = generated.models, generated.call
    new = models.NewInvoice.from_dict(NEW_INVOICES["two lines"]["value"])

    invoice = call("invoices.create_invoice", body=new, idempotency_key="order-1042")
    again = call("invoices.create_invoice", body=new, idempotency_key="order-1042")
    assert (again.id, again.jobs) == (invoice.id, invoice.jobs)
    job_id = invoice.jobs[0].id
    assert call("jobs.get_job", job_id).state == "queued"

    die(sql_now, claim(sql_now, str(job_id), kind="invoice.render"))
    (letter,) = call("dead_letters.list_dead_letters", kind="invoice.render").dead_letters
    assert (letter.job_id, letter.error_message) == (job_id, "mailbox full")
    (attempt,) = call("dead_letters.get_dead_letter", letter.id).attempts
    assert attempt.outcome == "failed"

    replayed = call("dead_letters.replay_dead_letter", letter.id, body=models.Why(why="mended"))
    assert (replayed.resolution, replayed.close_reason) == ("replayed", "mended")
    succeed(sql_now, claim(sql_now, str(job_id), dispatch=2, kind="invoice.render"), "{}")
    assert call("jobs.get_job", job_id).state == "succeeded"


def test_a_job_of_each_kind_is_submitted_and_a_refusal_is_a_problem(generated: Generated) -> None:
    models, call = generated.models, generated.call
    mail = models.NewSendEmail.from_dict(NEW_JOBS["a mail, later"]["value"])
    event = models.NewDeliverWebhook.from_dict(NEW_JOBS["an event"]["value"])

    submitted = [call("jobs.submit_job", body=new) for new in (mail, event)]
    assert [job.state for job in submitted] == ["scheduled", "queued"]
    assert call("jobs.cancel_job", submitted[0].id).state == "cancelled"

    refused = call("jobs.cancel_job", submitted[0].id)
    assert isinstance(refused, models.ProblemBody)
    assert (refused.type_, refused.status) == ("/problems/conflict", 409)


def test_the_code_on_the_page_submits_a_job(generated: Generated) -> None:
    code = _block("python").replace("http://127.0.0.1:8000", generated.address)
    names: dict[str, Any] = {}

    exec(code.replace("duly_...", generated.key), names)

    assert generated.call("jobs.get_job", names["job"].id).state == "queued"


def _block(language: str) -> str:
    """The page's code in that language."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(code)
