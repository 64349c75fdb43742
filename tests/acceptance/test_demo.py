"""`make demo`: each scene works, on a database without anything in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from dev.say import CHECKOUT

COMMAND = [sys.executable, "-m", "dev.demo"]
SAID = [
    "invoice.render   queued → running",
    "the webhook, its signature verified",
    "the provider's own book has one charge of this invoice: [102000] cents",
    "18 attempts, each with its error",
    "300 of 300  succeeded",
    "finished: 19,997 rows are charges now, 3 are bad",
    "4711,quantity,is no number with a decimal point,a dozen",
    "report.build     queued → running",
    "with another signature it is nothing: 404",
    "stop it: make down",
]


@pytest.fixture
def environment(
    no_queues: None, empty_database_url: str, amqp_url: str, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """Servers and a folder of the test's own. What the demo starts and makes is gone afterwards."""
    environment = os.environ | {
        "DATABASE_URL": empty_database_url,
        "AMQP_URL": amqp_url,
        "DULY_DEMO": str(tmp_path),
    }
    yield environment
    subprocess.run([*COMMAND, "down"], cwd=CHECKOUT, env=environment, check=True)
    with psycopg.connect(empty_database_url, autocommit=True) as owner:
        role = f"{owner.info.dbname}_app"
        with suppress(psycopg.errors.UndefinedObject):  # the demo did not come to make it
            owner.execute(f"DROP OWNED BY {role}")
            owner.execute(f"DROP ROLE {role}")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_scene_of_the_demo_works(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        COMMAND, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    places = [done.stdout.find(said) for said in SAID]
    assert -1 not in places, done.stdout
    assert places == sorted(places)
    for pdf in ("invoice.pdf", "report.pdf"):
        assert (tmp_path / pdf).read_bytes().startswith(b"%PDF")
