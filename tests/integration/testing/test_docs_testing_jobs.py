"""The tests of docs/testing-jobs.md, run as they are there, on the app of docs/your-app.md."""

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"
FILES = re.compile(r"```python\n# (shop/\w+\.py)\n(.*?)```", re.DOTALL)
EXAMPLES = re.compile(r"```python\n(.*?)```", re.DOTALL)
HEAD = """
import os
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from outbox import submit
from outbox.postgres.address import sqlalchemy_url
from outbox.testing import drain, run, submitted
from shop.actors import ACTORS, ship
from shop.jobs import SHIP_ORDER, NoAddress, ShipOrder
from shop.models import Base, Order

@pytest.fixture
def engine():
    engine = create_engine(sqlalchemy_url(os.environ["DATABASE_URL"]))
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()

"""


def test_the_examples_of_the_page_pass(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "shop").mkdir()
    for name, source in FILES.findall((DOCS / "your-app.md").read_text()):
        (tmp_path / name).write_text(source)
    examples = EXAMPLES.findall((DOCS / "testing-jobs.md").read_text())
    (tmp_path / "test_shop.py").write_text(HEAD + "\n".join(examples))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", ".", "-W", "error"],
        cwd=tmp_path,
        env={"DATABASE_URL": database_url, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr
