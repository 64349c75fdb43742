"""The API as a real server on a thread of the test's process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from outbox.http.server.client_reads import HTTP
from service.app import create_app
from service.settings import Settings
from tests.support.wait import wait_for


def settings_for(database_url: str, amqp_url: str, folder: Path) -> Settings:
    """The service's settings with its documents in the folder."""
    return Settings.model_validate(
        {
            "DATABASE_URL": database_url,
            "AMQP_URL": amqp_url,
            "documents_url": f"file://{folder}",
            "largest_body": 100_000,
            "links_secret": "of the tests, with thirty-two characters",
        }
    )


def serve(settings: Settings, idle_seconds: int = 5) -> AbstractContextManager[str]:
    """Serves the API with uvicorn while the context lasts; gives its address."""
    return serve_app(create_app(settings), http=HTTP, timeout_keep_alive=idle_seconds)


@contextmanager
def serve_app(app: FastAPI, **options: Any) -> Iterator[str]:
    """Serves any app, with uvicorn's own protocol unless `options` say otherwise."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app,
            ws="none",
            log_config=None,
            lifespan="on",
            **options,
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
