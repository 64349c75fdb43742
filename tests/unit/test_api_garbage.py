"""What the start of the API leaves for Python's garbage collector."""

import gc

import pytest

from outbox import logs
from outbox.cli.commands import processes
from outbox.cli.errors import Stop
from outbox.http.server.serving import Server
from service.settings import settings


def test_collections_leave_out_what_the_start_of_the_api_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1/duly")
    monkeypatch.setenv("AMQP_URL", "amqp://127.0.0.1")
    settings.cache_clear()
    left: list[int] = []
    monkeypatch.setattr(logs, "configure", lambda _: None)
    monkeypatch.setattr(Server, "run", lambda _: left.append(len(gc.get_objects())))
    try:
        with pytest.raises(Stop):  # as it has not started
            processes.api()
    finally:
        gc.unfreeze()
        settings.cache_clear()

    assert left[0] < 1000
    assert len(gc.get_objects()) > 50_000
