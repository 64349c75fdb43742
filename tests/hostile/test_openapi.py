"""Thousands of requests made from the API's own description, good and bad: it keeps its word.

schemathesis sends them and checks status codes, content types, headers and bodies against
OpenAPI; that no bad request is taken and no good one refused, that no answer is a 500, that no
route is open without a key and none takes a method that is not described.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.orm import Session

from dev.say import CHECKOUT
from outbox import submit
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from service.mail.kinds import SEND_EMAIL
from tests.support.service.lives import claim, die, foreign
from tests.support.service.serving import serve, settings_for

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = os.environ.get("DULY_OPENAPI_EXAMPLES", "5")
"""How many random requests each operation gets, besides those made from its limits."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def address(database_url: str, amqp_url: str, tmp_path: Path) -> Iterator[str]:
    """Where the API is served, with the usual limit to bodies."""
    settings = settings_for(database_url, amqp_url, tmp_path)
    with serve(settings.model_copy(update={"largest_body": 1_000_000})) as address:
        yield address


@pytest.fixture
def _dead_letters(session: Session, sql_now: psycopg.Connection) -> None:
    """One of a job and one of somebody else's message, for the API to show."""
    job = submit(session, SEND_EMAIL(to="ada@example.com", subject="Hello", text="Good morning."))
    session.commit()
    die(sql_now, claim(sql_now, str(job.id)))
    foreign(sql_now, b"\xff")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("_dead_letters")
def test_every_answer_is_as_described(address: str, session: Session) -> None:
    key = api_keys.create(session, "test", list(Scope), by="ops")
    session.commit()
    _run_schemathesis(address, key)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_answer_to_a_wrong_key_is_as_described(address: str) -> None:
    _run_schemathesis(address, "wrong")


def _run_schemathesis(address: str, key: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG),
            *("run", f"{address}/openapi.json", "--max-examples", EXAMPLES, "--seed", "1"),
        ],
        cwd=CHECKOUT,
        env=os.environ | {"DULY_KEY": key},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
