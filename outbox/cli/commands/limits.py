"""`duly limits`: list, set and clear limits of keys."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from outbox.cli.app import kinds
from outbox.cli.database import session
from outbox.cli.errors import Code, Stop
from outbox.cli.person import ByOption, WhyOption
from outbox.cli.terminal.output import Output, OutputOption, print_message, show_rows
from outbox.cli.terminal.times import duration
from outbox.flow.rates import Rate
from outbox.operations.flow import key_limits, limits
from outbox.operations.flow.key_limits import NotSet
from outbox.operations.flow.limits import KeyInUse
from outbox.store.records import fields

commands = typer.Typer(help="List, set and clear limits of keys.", no_args_is_help=True)

COLUMNS = (
    *("key", "at_most", "rate", "running", "admitted", "dead", "waiting"),
    *("paused_until", "who", "why"),
)
SPARE = ("paused_until", "admitted")

Key = Annotated[str, typer.Argument(metavar="KEY", help="The key, as jobs have it.")]


@commands.command("list")
def list_limits(
    *,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1000, metavar="N", help="Page size.")
    ] = 50,
    after: Annotated[
        str | None, typer.Option("--after", metavar="KEY", help="Continue after this one.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the keys that jobs hold now, that somebody has limited or that a receiver has paused."""
    with session() as db, db.begin():
        found = limits.find(db, kinds(), limit=limit, after=after)
    view = _row if output is Output.TABLE else _record
    show_rows([view(each) for each in found], COLUMNS, output, spare=SPARE)


@commands.command("set")
def set_limit(
    key: Key,
    *,
    at_most: Annotated[
        int | None,
        typer.Option("--at-most", metavar="N", help="How many of its jobs may run at a time."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option("--rate", metavar="N/TIME", help="How many may start in it, such as 10/1m."),
    ] = None,
    burst: Annotated[
        int | None,
        typer.Option("--burst", metavar="N", help="How many of these may start at once."),
    ] = None,
    by: ByOption,
    why: WhyOption = None,
) -> None:
    """Have a limit, a rate or both hold for a key, in place of what its kinds declare."""
    with _refusals():
        wanted = _rate(rate, burst)
        with session() as db, db.begin():
            key_limits.set_limit(db, key, at_most=at_most, rate=wanted, by=by, why=why)
    print_message(f"set the limit of {key}")


@commands.command("clear")
def clear_limit(key: Key, *, by: ByOption, why: WhyOption = None) -> None:
    """Have what its kinds declare hold for a key again."""
    with session() as db, db.begin(), _refusals():
        key_limits.clear_limit(db, key, by=by, why=why)
    print_message(f"cleared the limit of {key}")


def _rate(text: str | None, burst: int | None) -> Rate | None:
    """Raises ValueError for a rate that cannot be."""
    if text is None:
        if burst is not None:
            raise ValueError("--burst goes with --rate")
        return None
    found = re.fullmatch(r"(\d{1,10})/(\w+)", text, re.ASCII)
    if not found:
        raise ValueError(f"{text!r} is not a rate such as 10/1m")
    return Rate(int(found[1]), per=duration(found[2]), burst=burst)


def _record(each: KeyInUse) -> dict[str, Any]:
    was_set = fields(each.set) | {"rate": _spelt(each.set.rate)} if each.set else None
    return fields(each) | {"rate": _spelt(each.rate), "set": was_set}


def _spelt(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    return {"permits": rate.permits, "per_seconds": rate.per.total_seconds(), "burst": rate.burst}


def _row(each: KeyInUse) -> dict[str, Any]:
    who, why = (each.set.who, each.set.why) if each.set else (None, None)
    return fields(each) | {"who": who, "why": why}


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what cannot be into a message and an exit code."""
    try:
        yield
    except NotSet as error:
        raise Stop(str(error), Code.NOTHING) from None
    except ValueError as error:
        raise Stop(str(error), Code.USAGE) from None
