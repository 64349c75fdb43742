"""Rates of keys: what can be declared, and what relays make of clocks."""

import json
import math
from collections import defaultdict
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from typer import BadParameter

from outbox import Key, Kinds, Rate, RateLimited
from outbox.cli.commands.limits import _rate
from outbox.errors import LONGEST_WAIT
from outbox.flow.clocks import Clock
from outbox.operations.flow import key_limits
from outbox.relay.admission.decision import Decision, Waiting, bounded_keys, rated_keys
from outbox.relay.admission.fair_shares import FairShares
from outbox.relay.admission.limits import Limits
from outbox.relay.admission.permits import ClosedKeys, Permits
from tests.support.engine.line import note_kind

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
MINUTES = Rate(1, per=timedelta(minutes=1), burst=3)
RATED = note_kind("q", "rated", key=(Key(lambda n: n.text, rate=MINUTES), Key(lambda _: "all")))
FREE = note_kind("q", "free", key=Key(lambda n: n.text))
ORDERED = note_kind("q", "ordered", key=Key(lambda n: n.text, ordered=True))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"permits": 0}, "permits is not 1 to 1,000,000"),
        ({"permits": -1}, "permits is not"),
        ({"permits": 0.5}, "permits is not"),
        ({"permits": 10**9}, "permits is not"),
        ({"per": timedelta()}, "per is not 1 ms to 31 days"),
        ({"per": -SECOND}, "per is not"),
        ({"per": 365 * DAY}, "per is not"),
        ({"per": 60}, "per is not"),
        ({"burst": 0}, "burst is not 1 to 1,000,000"),
        ({"burst": 10**9}, "burst is not"),
        ({"permits": 10_001}, "more than 10,000 permits a second"),
    ],
)
def test_a_rate_that_makes_no_sense_is_refused(options: dict[str, Any], why: str) -> None:
    fine: dict[str, Any] = {"permits": 1, "per": SECOND}
    with pytest.raises(ValueError, match=f"^rate: {why}"):
        Rate(**fine | options)


def test_what_is_no_rate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^rate: it is no Rate"):
        Key(lambda _: "a", rate="10/1m")  # type: ignore[arg-type]


def test_a_burst_that_is_not_given_is_what_comes_in_half_a_second() -> None:
    assert Rate(10, per=60 * SECOND).burst == 1
    assert Rate(100, per=SECOND).burst == 50
    assert Rate(3, per=SECOND).spacing_us == 333_334


@pytest.mark.parametrize(
    ("asked", "delay"),
    [
        (1.5, timedelta(seconds=1.5)),
        (timedelta(minutes=1), timedelta(minutes=1)),
        (-1, timedelta()),
        (math.inf, LONGEST_WAIT),
        (10**30, LONGEST_WAIT),
    ],
)
def test_a_receiver_may_ask_for_any_pause(asked: Any, delay: timedelta) -> None:
    assert RateLimited(asked).delay == delay


@pytest.mark.parametrize(
    ("clock", "permits", "seconds"),
    [
        (Clock(), 3, 60),
        (Clock(-1e9), 3, 60),
        (Clock(50), 2, 50),
        (Clock(120), 1, 60),
        (Clock(121), 0, 1),
        (Clock(180), 0, 60),
        (Clock(1e9), 1, 120),
        (Clock(0, 500), 0, 500),
        (Clock(180, 5), 0, 60),
    ],
)
def test_what_a_clock_allows(clock: Clock, permits: int, seconds: float) -> None:
    assert clock.permits(MINUTES) == permits
    assert clock.seconds_until(MINUTES, permits + 1) == pytest.approx(seconds)


def decide(clocks: dict[str, Clock], unclaimed: dict[str, int], **due: int) -> dict[str, int]:
    limits = Limits(Kinds(RATED, FREE))
    waiting = {Waiting("q", 1, "rated", (key, "all")): n for key, n in due.items()}
    assert bounded_keys(waiting, limits) == rated_keys(waiting, limits) == sorted(due)
    permits = Permits(clocks, unclaimed)
    locked = dict.fromkeys(due, 0)
    decision = Decision(limits, defaultdict(FairShares), locked, permits)
    decision.grant(waiting, 100)
    return {each.keys[0]: n for each, n in decision.grants.items()}


def test_only_what_has_a_permit_is_admitted_and_what_will_take_one_counts() -> None:
    assert decide({}, {}, a=9, b=1) == {"a": 3, "b": 1}
    assert decide({"a": Clock(60)}, {}, a=9) == {"a": 2}
    assert decide({"a": Clock(60)}, {"a": 1}, a=9) == {"a": 1}
    assert decide({"a": Clock(180)}, {}, a=9, b=9) == {"b": 3}
    assert decide({"a": Clock(0, 5)}, {}, a=9) == {}


def test_when_the_next_permit_is_there() -> None:
    permits = Permits({"a": Clock(130), "b": Clock(60)}, {"b": 1})
    rates = {"a": MINUTES, "b": MINUTES, "c": MINUTES}
    assert permits.next_in(rates) == {"a": pytest.approx(10)}
    permits.take(["b"])
    for _ in range(3):
        permits.take(["c"])
    assert permits.next_in(rates) == {
        "a": pytest.approx(10),
        "b": pytest.approx(60),
        "c": pytest.approx(60),
    }


def test_a_key_is_closed_until_its_permit_is_there() -> None:
    closed = ClosedKeys()
    closed.close("a", 5.0)
    closed.close("b", 3.0)
    assert closed.next_opening(1.0) == 3.0
    assert not closed.is_open(["c", "a"], 4.0)
    assert closed.is_open(["c", "b"], 4.0)
    closed.close("a", 9.0)
    assert closed.next_opening(6.0) == 9.0
    assert not closed.is_open(["a"], 6.0)
    closed.open_all()
    assert closed.is_open(["a"], 6.0)
    assert closed.next_opening(6.0) == math.inf


def row(key: str, at_most: int | None = None, rate: Rate | None = None) -> Any:
    options = {name: getattr(rate, name, None) for name in ("permits", "per", "burst")}
    return SimpleNamespace(key=key, at_most=at_most, **options)


def test_what_people_set_holds_in_place_of_what_is_declared() -> None:
    limits = Limits(Kinds(RATED, FREE, ORDERED))
    slow = Rate(1, per=DAY)
    rows = [row("a", 2), row("b", None, slow), row("all", 7, slow)]
    assert limits.replace(rows)
    assert not limits.replace(rows)
    assert limits.of("rated", ("a", "all")) == {"a": 2, "all": 7}
    assert limits.rates("rated", ("a", "all")) == {"a": MINUTES, "all": slow}
    assert limits.bounded("rated", ("c", "c all")) == {"c"}
    assert limits.of("free", ("b",)) == {}
    assert limits.rates("free", ("b",)) == {}
    assert limits.of("ordered", ("a",)) == {"a": 1}
    assert limits.of("unknown", ("a",)) == {"a": 1}
    assert limits.of("free", ("a",)) == {"a": 2}
    assert limits.replace([])
    assert limits.of("free", ("a",)) == {}
    assert limits.rates("rated", ("a", "all")) == {"a": MINUTES}


def test_a_scan_counts_what_a_limit_that_was_set_lets_start() -> None:
    wide = note_kind("q", "wide", key=Key(lambda n: n.text, at_most=40, rate=MINUTES))
    narrow = note_kind("q", "narrow", key=(Key(lambda n: n.text), Key(lambda _: "all", at_most=2)))
    limits = Limits(Kinds(wide, narrow, FREE))
    assert json.loads(limits.of_kinds) == {"wide": 3, "narrow": 2, "free": None}
    limits.replace([row("a", 1), row("b", 9, Rate(1, per=SECOND, burst=50))])
    assert json.loads(limits.of_kinds) == {"wide": 40, "narrow": 9, "free": None}


@pytest.mark.parametrize(
    ("key", "options", "why"),
    [
        ("a", {}, "a limit, a rate or both have to be given"),
        ("a", {"at_most": 0}, "at_most: 0 is no limit; to run none .*, pause the queue"),
        ("a", {"at_most": -1}, "at_most: -1 is not 1 to 1,000,000"),
        ("a", {"at_most": 10**9}, "at_most: 1000000000 is not"),
        ("", {"at_most": 1}, "a key is 1 to 200 printable characters"),
        ("a\n", {"at_most": 1}, "a key is 1 to 200"),
    ],
)
def test_a_limit_that_makes_no_sense_is_not_set(
    key: str, options: dict[str, Any], why: str
) -> None:
    nobody: Any = None
    with pytest.raises(ValueError, match=f"^{why}"):
        key_limits.set_limit(nobody, key, by="ann", **options)


def test_rates_as_people_type_them() -> None:
    assert _rate("10/1m", 3) == Rate(10, per=timedelta(minutes=1), burst=3)
    assert _rate(None, None) is None
    for text, burst in (("10", None), ("-1/1m", None), ("0/1m", None), (None, 3)):
        with pytest.raises(ValueError, match=r"rate"):
            _rate(text, burst)
    with pytest.raises(BadParameter, match="is not a duration"):
        _rate("10/minute", None)
