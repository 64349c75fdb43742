"""The API as a real server on a thread of the test's process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from outbox.http.server.client_reads import HTTP
from service.app import create_app
from service.settings import Settings
from tests.wait import wait_for


def settings_for(database_url: str, amqp_url: str, folder: Path) -> Settings:
    """The service's settings with its documents in the folder."""
    return Settings.model_validate(
        {
            "DATABASE_URL": database_url,
            "AMQP_URL": amqp_url,
            "documents_url": f"file://{folder}",
            "largest_body": 100_000,
        }
    )


@contextmanager
def serve(settings: Settings, idle_seconds: int = 5) -> Iterator[str]:
    """Serves the API with uvicorn while the context lasts; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            create_app(settings),
            http=HTTP,
            ws="none",
            log_config=None,
            lifespan="on",
            timeout_keep_alive=idle_seconds,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_for("the server", lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
