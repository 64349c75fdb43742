"""`duly api`, `relay` and `worker`: the processes. Each imports only what it runs."""

import asyncio
from contextlib import suppress
from importlib import import_module
from typing import Annotated

import typer

from outbox import Actors
from service.cli.errors import Code, Stop
from service.kinds import KINDS
from service.settings import settings

# Longer than most clients and proxies keep an idle connection (Google's load balancer: 600 s). Who
# sends requests should be who hangs up: otherwise one may meet a connection that is closing.
IDLE_SECONDS = 620

app = typer.Typer()


@app.command()
def api(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
) -> None:
    """Serve the HTTP API, until SIGTERM or Ctrl-C."""
    import uvicorn

    from service import logs
    from service.app import create_app
    from service.http_reads import HTTP

    logs.configure(settings())
    config = uvicorn.Config(
        create_app(settings()),
        http=HTTP,
        ws="none",
        host=host,
        port=port,
        log_config=None,
        timeout_keep_alive=IDLE_SECONDS,
    )
    server = uvicorn.Server(config)
    with suppress(SystemExit):  # with a code of uvicorn's own, where it could not start
        server.run()
    if not server.started:
        raise Stop(f"the API could not start on {host}:{port}")


@app.command()
def relay() -> None:
    """Publish what waits, collect dead letters, rescue jobs of dead workers, delete old ones."""
    from outbox import relay_process
    from service import logs

    logs.configure(settings())
    asyncio.run(
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


@app.command()
def worker(
    *,
    queues: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these queues, instead of all.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=1000, help="Jobs done at once.")] = 8,
) -> None:
    """Do jobs, until SIGTERM or Ctrl-C; what runs then is finished or handed back."""
    from outbox import worker as engine
    from outbox.thread_shares import TooFewThreads
    from service import logs

    wanted = None if queues is None else _known(queues.split(","))
    logs.configure(settings())
    try:
        code = engine.run(
            actors=_load(settings().actors),
            database_url=settings().database_url,
            amqp_url=settings().amqp_url,
            queues=wanted,
            threads=threads,
            patience=settings().unknown_after,
        )
    except TooFewThreads as error:
        raise Stop(str(error), Code.USAGE) from None
    raise typer.Exit(code)


def _known(queues: list[str]) -> list[str]:
    if unknown := set(queues) - set(KINDS.queues):
        there_are = f"there are {', '.join(KINDS.queues)}"
        raise Stop(f"no queue {', '.join(sorted(unknown))}; {there_are}", Code.USAGE)
    return queues


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
