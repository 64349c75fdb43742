"""`duly api`, `duly relay` and `duly worker`. Each imports only what it needs."""

import asyncio
import gc
import signal
from contextlib import suppress
from datetime import timedelta
from typing import Annotated

import structlog
import typer

from outbox import Actors, Consumers
from outbox.cli.app import amqp_url, app, kinds, settings
from outbox.cli.errors import Code, Stop
from outbox.cli.exit import exit_now
from outbox.cli.metrics import LOCAL, HostOption, PortOption, serve_of_relay, serve_of_worker
from outbox.cli.tables import require_tables
from outbox.cli.traces import check_traces, start_traces

log = structlog.get_logger(__name__)
commands = typer.Typer()


@commands.command()
def api(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="N", help="The port to listen on.")
    ] = 8000,
) -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C."""
    from outbox import logs
    from outbox.http.server.serving import Server

    logs.configure(settings())
    require_tables()
    _check()
    check_traces()  # they start with the app, which may set up OpenTelemetry itself
    server = Server(app().api(), host, port)
    # A full collection of all that was imported would stall every request for some 70 ms.
    gc.collect()
    gc.freeze()
    with suppress(SystemExit):  # uvicorn exits with a code of its own if it cannot start
        server.run()
    if not server.started:
        raise Stop(f"the API could not start on {host}:{port}")
    exit_now(Code.INTERRUPTED if server.ended_by == signal.SIGINT else Code.OK)


@commands.command()
def relay(*, metrics_port: PortOption = None, metrics_host: HostOption = LOCAL) -> None:
    """Publish due jobs, collect dead letters, rescue and delete jobs."""
    from outbox import logs
    from outbox.relay import process as relay_process

    logs.configure(settings())
    broker = amqp_url()
    require_tables()
    serve_of_relay(metrics_host, metrics_port, kinds().values())
    end_traces = start_traces("duly-relay", broker)
    runner = asyncio.Runner()  # never closed: that would wait for threads
    runner.run(
        relay_process.run(
            database_url=settings().database_url,
            listen_url=settings().listen_url,
            amqp_url=broker,
            queues=kinds().queues,
            window=settings().window,
            kinds=kinds(),
            silence=settings().worker_silence,
            patience=settings().redispatch_after,
            retention=settings().keep_finished,
            keep_closed=settings().keep_closed,
            keep_events=settings().keep_events,
            keep_received=settings().keep_received,
            schedules=app().schedules,
        )
    )
    end_traces()
    exit_now(Code.OK)


@commands.command()
def worker(
    *,
    queues: Annotated[
        str | None, typer.Option(metavar="A,B", help="Serve only these queues.")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="`def` actors run at once.")
    ] = 16,
    tasks: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="`async def` actors run at once.")
    ] = 100,
    grace: Annotated[
        float,
        typer.Option(
            min=0, max=86400, metavar="SECONDS", help="Time that running jobs have to finish."
        ),
    ] = 25,
    metrics_port: PortOption = None,
    metrics_host: HostOption = LOCAL,
) -> None:
    """Run jobs until SIGTERM or Ctrl-C. Running jobs then finish, or are handed back."""
    from outbox import logs
    from outbox.worker import process as worker_process
    from outbox.worker.claimer import TooFewSlots

    logs.configure(settings())
    consumers = _consumers()
    wanted = None if queues is None else _known(queues.split(","), consumers)
    broker = amqp_url()
    require_tables()
    _check()
    served = [each for each in kinds().values() if wanted is None or each.queue in wanted]
    watch = serve_of_worker(metrics_host, metrics_port, served)
    actors = _actors()
    end_traces = start_traces("duly-worker", broker)
    try:
        code = worker_process.run(
            actors=actors,
            database_url=settings().database_url,
            amqp_url=broker,
            queues=wanted,
            threads=threads,
            tasks=tasks,
            patience=settings().unknown_after,
            silence=settings().worker_silence,
            grace=timedelta(seconds=grace),
            consumers=consumers,
            watch=watch,
        )
    except TooFewSlots as error:
        raise Stop(str(error), Code.USAGE) from None
    end_traces()
    exit_now(code)


def _known(queues: list[str], consumers: Consumers) -> list[str]:
    known = [*kinds().queues, *consumers]
    if unknown := set(queues) - set(known):
        there_are = f"there are {', '.join(known)}"
        raise Stop(f"no queue {', '.join(sorted(unknown))}; {there_are}", Code.USAGE)
    return queues


def _check() -> None:
    """Check that the app can run here. Raises Stop."""
    try:
        app().check()
    except (OSError, ValueError) as error:
        raise Stop(str(error), Code.USAGE) from None


def _consumers() -> Consumers:
    """The app's consumers. Raises Stop."""
    try:
        return app().consumers()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise Stop(f"the app's consumers: {error}", Code.USAGE) from None


def _actors() -> Actors:
    """The app's actors. Raises Stop. Warns of kinds without one: their jobs wait for nothing."""
    try:
        found = app().actors()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        where = "setting DULY_ACTORS" if settings().actors else "the app's actors"
        raise Stop(f"{where}: {error}", Code.USAGE) from None
    if idle := sorted(kinds().keys() - found.keys()):
        log.warning("kinds without an actor in this worker", kinds=idle)
    return found
