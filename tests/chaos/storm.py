"""One run: orders come in, everything breaks, then it is quiet and the evidence is weighed."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random

import httpx2
import psycopg

from dev.say import Failure, say
from dev.wait import wait_until
from tests.chaos import accounts, messages, partner, person
from tests.chaos.clients import Clients
from tests.chaos.contenders import Contender
from tests.chaos.orders import Order
from tests.chaos.partner import Partner
from tests.chaos.person import Person
from tests.chaos.plan import Blow
from tests.chaos.stage import Stage, stage
from tests.chaos.verdict import Evidence, Verdict, judge
from tests.chaos.witness import Witness, receiver

START_SECONDS = 60
QUIET_SECONDS = 90
"""Longer than all pauses of an order that fails for ever, and than any rescue takes."""
LONGEST_WAIT_SECONDS = 600
LOOK_SECONDS = 1
MOST_BLOWS_AT_ONCE = 16


def run(
    contender: Contender,
    orders: Sequence[Order],
    blows: Sequence[Blow],
    seconds: float,
    folder: Path,
) -> Verdict:
    """Lead a contender through the storm; logs and the witness's diary stay in the folder."""
    witness = Witness(folder / "witness.sqlite")
    with receiver(witness) as url, stage(contender, url, folder) as running:
        _wait_for_the_apis(running)
        with ExitStack() as exits:
            others = _others(running, witness, exits) if contender.has_more else None
            _rage(running, witness, others and others[0], orders, blows, seconds)
            say("the storm is over; waiting until nothing happens any more ...")
            if others:
                _tidy(*others)
            _wait_for_quiet(running, witness)
        running.stop()
        evidence = _evidence(running, witness)
    witness.close()
    return judge(orders, evidence)


def _others(running: Stage, witness: Witness, exits: ExitStack) -> tuple[Partner, Person]:
    url, queues = running.postgres.proxied_url, running.contender.queues
    return (
        exits.enter_context(partner.at_work(running.broker.url, witness)),
        exits.enter_context(person.at_work(url, queues)),
    )


def _tidy(partner: Partner, person: Person) -> None:
    """End the acts of people, and send again what a wiped broker may have lost."""
    if not wait_until(partner.send_again, START_SECONDS):
        raise Failure("the other service cannot send")
    person.tidy(has_lost=partner.has_lost)


def _wait_for_the_apis(running: Stage) -> None:
    def answer() -> bool:
        try:
            urls = [f"http://127.0.0.1:{port}/openapi.json" for port in running.ports]
            return all(httpx2.get(url).is_success for url in urls)
        except httpx2.TransportError:
            return False

    if not wait_until(answer, START_SECONDS):
        raise Failure("the API did not start")


def _rage(
    running: Stage,
    witness: Witness,
    partner: Partner | None,
    orders: Sequence[Order],
    blows: Sequence[Blow],
    seconds: float,
) -> None:
    """Place the orders and strike the blows; returns when the last of both is over."""
    ended = threading.Event()
    with ThreadPoolExecutor(1) as thunder:
        storm = thunder.submit(_strike_all, running, blows, ended)
        try:
            Clients(running.ports, witness, partner).place(orders, seconds)
            storm.result()
        finally:
            ended.set()


def _strike_all(running: Stage, blows: Sequence[Blow], ended: threading.Event) -> None:
    """Strike each blow at its moment, and wait until all are over. Raises what any of them did."""
    start = time.monotonic()
    with ThreadPoolExecutor(MOST_BLOWS_AT_ONCE) as pool:
        striking = []
        for blow in blows:
            if ended.wait(max(0, start + blow.at - time.monotonic())):
                return
            if blow.fault.part in running.contender.parts:
                striking.append(pool.submit(_strike, running, blow))
        for strike in striking:
            strike.result()


def _strike(running: Stage, blow: Blow) -> None:
    say(f"{blow.at:6.1f} s  {blow.fault}")
    blow.fault.strike(running, blow.fault.part, Random(blow.luck))


def _wait_for_quiet(running: Stage, witness: Witness) -> None:
    """Until no effect has come for long."""
    start = quiet_since = time.monotonic()
    effects = None
    while time.monotonic() < min(quiet_since + QUIET_SECONDS, start + LONGEST_WAIT_SECONDS):
        if effects != (effects := (_stored(running), witness.calls, witness.messages)):
            quiet_since = time.monotonic()
        time.sleep(LOOK_SECONDS)


def _evidence(running: Stage, witness: Witness) -> Evidence:
    remains = running.contender.look(running.postgres.url, running.broker.url)
    with psycopg.connect(running.postgres.url) as database:
        runs, wishes = accounts.read(database)
        published = messages.read(database)
    return Evidence(
        witness.accepted,
        _stored(running),
        witness.calls,
        remains,
        running.fallen,
        witness.cancelled,
        runs,
        wishes,
        published,
        witness.messages,
    )


def _stored(running: Stage) -> dict[str, int]:
    with psycopg.connect(running.postgres.url) as database:
        return dict(database.execute("SELECT key, count(*) FROM effects GROUP BY key").fetchall())
