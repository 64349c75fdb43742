"""The story that `make demo` tells, scene by scene."""

import time

from dev.demo import batches, charging, dead_letters, imports, invoices, reports, schedules
from dev.demo.stage import LOGS, Stage
from dev.demo.starting import API_KEY, start
from dev.demo.telling import tell, title
from dev.say import shown


def tell_all(variables: dict[str, str], begun: float) -> None:
    """Start everything, show each subject, and leave all running. Raises Failure.

    `begun` is when `make demo` did, by the monotonic clock.
    """
    stage = Stage(variables)
    start(stage)
    endpoint = stage.listen()
    invoice = invoices.show(stage, endpoint)
    charging.show(stage, invoice)
    dead_letters.show(stage, endpoint)
    schedules.show(stage)
    batches.show(stage)
    imports.show(stage)
    reports.show(stage)
    _farewell(stage, time.monotonic() - begun)


def _farewell(stage: Stage, seconds: float) -> None:
    title(f"All of it goes on running; to show it took {seconds:.0f} s")
    tell(f"the API: {stage.address} and its docs: {stage.address}/docs")
    tell(f"the API key: {shown(API_KEY)}   logs: {LOGS}")
    tell("stop it: make down")
