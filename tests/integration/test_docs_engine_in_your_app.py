"""The apps of docs/engine-in-your-app.md, written down as they stand there and run."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

PAGE = Path(__file__).parents[2] / "docs" / "engine-in-your-app.md"
MODELS = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]
    shipped: Mapped[bool] = mapped_column(default=False)
"""


@pytest.fixture
def shop(
    tmp_path: Path, empty_database_url: str, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The page's files in a folder, their tables made, and the environment that they read."""
    for name, source in re.findall(
        r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL
    ):
        tmp_path.joinpath(name).write_text(source)
    tmp_path.joinpath("shop_models.py").write_text(MODELS)
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("AMQP_URL", amqp_url)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(PAGE.parents[1])]))
    monkeypatch.syspath_prepend(tmp_path)
    run(tmp_path, "create_tables.py")
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            "CREATE TABLE orders (id serial PRIMARY KEY, item text, shipped boolean NOT NULL)"
        )
    yield tmp_path
    for name in ("shop", "async_shop", "shop_models"):
        sys.modules.pop(name, None)


def run(folder: Path, script: str) -> None:
    subprocess.run([sys.executable, script], cwd=folder, check=True, timeout=30)


def test_an_app_of_ones_own_submits_with_session_and_async_session_and_its_jobs_run(
    shop: Path, empty_database_url: str
) -> None:
    import async_shop  # type: ignore[import-not-found]
    import shop as sync_shop  # type: ignore[import-not-found]

    for app in (sync_shop.app, async_shop.app):
        with TestClient(app) as client:
            assert client.post("/orders", params={"item": "tea"}).status_code == 201
    processes = [
        subprocess.Popen([sys.executable, name], cwd=shop)
        for name in ("run_relay.py", "run_worker.py")
    ]
    try:
        assert shipped(empty_database_url, within_seconds=30) == 2
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(timeout=30) for process in processes] == [0, 0]
    sync_shop.engine.dispose()


def shipped(database_url: str, within_seconds: float) -> int:
    deadline = time.monotonic() + within_seconds
    with psycopg.connect(database_url, autocommit=True) as connection:
        while True:
            row = connection.execute("SELECT count(*) FROM orders WHERE shipped").fetchone()
            if row == (2,) or time.monotonic() > deadline:
                return row[0] if row else 0
            connection.execute("SELECT pg_sleep(0.05)")
