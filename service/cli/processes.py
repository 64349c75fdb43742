"""`duly api`, `relay` and `worker`: the processes. Each imports only what it runs."""

import asyncio
import gc
import signal
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from typing import Annotated

import typer

from outbox import Actors
from service.cli.ending import leave
from service.cli.errors import Code, Stop
from service.kinds import KINDS
from service.settings import settings

app = typer.Typer()


@app.command()
def api(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
) -> None:
    """Serve the HTTP API, until SIGTERM or Ctrl-C."""
    from service import logs
    from service.app import create_app
    from service.serving import Server

    logs.configure(settings())
    _open_documents()
    server = Server(create_app(settings()), host, port)
    # A full collection would walk all that was imported: every request waits some 70 ms meanwhile.
    gc.collect()
    gc.freeze()
    with suppress(SystemExit):  # with a code of uvicorn's own, where it could not start
        server.run()
    if not server.started:
        raise Stop(f"the API could not start on {host}:{port}")
    leave(Code.INTERRUPTED if server.ended_by == signal.SIGINT else Code.OK)


@app.command()
def relay() -> None:
    """Publish what waits, collect dead letters, rescue jobs of dead workers, delete old ones."""
    from outbox import relay_process
    from service import logs

    logs.configure(settings())
    runner = asyncio.Runner()  # is not closed: that would wait for threads
    runner.run(
        relay_process.run(
            database_url=settings().database_url,
            listen_url=settings().listen_url,
            amqp_url=settings().amqp_url,
            queues=KINDS.queues,
            window=settings().window,
            silence=settings().worker_silence,
            patience=settings().redispatch_after,
            retention=settings().keep_finished,
        )
    )
    leave(Code.OK)


@app.command()
def worker(
    *,
    queues: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these queues, instead of all.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=1000, help="Jobs done at once.")] = 16,
    grace: Annotated[
        float, typer.Option(min=0, max=86400, help="How long what runs may finish, in seconds.")
    ] = 25,
) -> None:
    """Do jobs, until SIGTERM or Ctrl-C; what runs then is finished or handed back."""
    from outbox import worker as engine
    from outbox.thread_shares import TooFewThreads
    from service import logs

    wanted = None if queues is None else _known(queues.split(","))
    logs.configure(settings())
    _open_documents()
    try:
        code = engine.run(
            actors=_load(settings().actors),
            database_url=settings().database_url,
            amqp_url=settings().amqp_url,
            queues=wanted,
            threads=threads,
            patience=settings().unknown_after,
            grace=timedelta(seconds=grace),
        )
    except TooFewThreads as error:
        raise Stop(str(error), Code.USAGE) from None
    leave(code)


def _known(queues: list[str]) -> list[str]:
    if unknown := set(queues) - set(KINDS.queues):
        there_are = f"there are {', '.join(KINDS.queues)}"
        raise Stop(f"no queue {', '.join(sorted(unknown))}; {there_are}", Code.USAGE)
    return queues


def _open_documents() -> None:
    """See that the document store can be used. Raises Stop."""
    from obstore.exceptions import BaseError

    from service.documents import documents

    try:
        documents()
    except (OSError, BaseError) as error:
        raise Stop(f"setting DULY_DOCUMENTS_URL: {error}", Code.USAGE) from None


def _load(reference: str) -> Actors:
    """The actors that `module:name` names. Raises Stop."""
    module, _, name = reference.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise Stop(f"setting DULY_ACTORS: {error}", Code.USAGE) from None
    if not isinstance(found, Actors):
        raise Stop(f"setting DULY_ACTORS: {reference} is no outbox.Actors", Code.USAGE)
    return found
