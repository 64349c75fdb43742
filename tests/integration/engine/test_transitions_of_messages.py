"""What relays, people and workers do with messages to and of other services."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic_core import to_json

from outbox.store import transitions
from tests.protocol.stage import AS_THEY_LIE
from tests.support.engine.by_hand import WAITING, ByHand
from tests.support.wait import wait_for

PERSON = {"by": "ann", "why": "asked"}
AGO = "UPDATE duly.outgoing_messages SET sent_at = now() - %(age)s WHERE id = %(id)s"
DUE = "UPDATE duly.outgoing_messages SET deferred_until = now() - %(age)s WHERE id = %(id)s"
LETTER = {"queue": "q", "reason": "unpublishable", "why": "no", "headers": "{}"}
HOUR = timedelta(hours=1)


def publish(
    hand: ByHand, *bodies: bytes, exchange: str = "x", routing_key: str = "k"
) -> list[UUID]:
    """Publish messages in one transaction; returns their ids."""
    ids = [uuid4() for _ in bodies]
    common = {"exchange": exchange, "routing_key": routing_key, "type": "t", "properties": ""}
    rows = [
        common | {"id": str(id_), "body": to_json(body, bytes_mode="base64").decode().strip('"')}
        for id_, body in zip(ids, bodies, strict=True)
    ]
    hand.take(transitions.PUBLISH, messages=to_json(rows).decode())
    return ids


def locked(hand: ByHand, after: int = 0) -> list[UUID]:
    """The messages that a relay locks, in order."""
    return [UUID(row["id"]) for row in hand.take(transitions.LOCK_MESSAGES, after=after)]


def defer(hand: ByHand, *ids: UUID, failures: int = 1) -> list[Any]:
    """Defer them; returns how often each has failed."""
    given: Any = {"id": list(ids), "failures": [failures] * len(ids)}
    return [row["failures"] for row in hand.take(transitions.DEFER_MESSAGES, **given)]


def bury(hand: ByHand, id_: UUID, failures: int = 1) -> list[int]:
    """Make it a dead letter; returns the letter's id."""
    found = hand.take(transitions.BURY_MESSAGE, id=id_, failures=failures, **LETTER)
    return [row["id"] for row in found]


def dead(hand: ByHand) -> tuple[UUID, int]:
    """A message, and its dead letter."""
    (message,) = publish(hand, b"dead")
    defer(hand, message)
    (letter,) = bury(hand, message)
    return message, letter


def replay(hand: ByHand, *letters: int) -> list[int]:
    """Replay the letters; returns those that were closed."""
    found = hand.take(transitions.REPLAY_MESSAGES, ids=list(letters), **PERSON)
    return [row["id"] for row in found]


def resend(hand: ByHand, **wanted: Any) -> list[UUID]:
    """Send again what was sent in the last hour, or what is wanted."""
    now = datetime.now(UTC)
    given = {"since": now - HOUR, "until": now + HOUR, "exchange": None, "routing_key": None}
    return [row["id"] for row in hand.take(transitions.RESEND, **given | wanted, **PERSON)]


def kept(hand: ByHand) -> list[UUID]:
    """The messages there are, in order."""
    found = hand.take("SELECT id FROM duly.outgoing_messages ORDER BY position")
    return [row["id"] for row in found]


def receive(hand: ByHand, *ids: str, queue: str = "q") -> list[str]:
    """Begin messages of the queue; returns those that were not done."""
    rows = [{"queue": queue, "message_id": id_} for id_ in ids]
    found = hand.take(transitions.RECEIVE, messages=to_json(rows).decode())
    return [row["message_id"] for row in found]


def count(hand: ByHand, message_id: str) -> int:
    """Count one more delivery; 0 if the message is done."""
    found = hand.take(transitions.COUNT_DELIVERY, queue="q", message_id=message_id)
    return found[0]["deliveries"] if found else 0


def test_messages_are_locked_in_the_order_of_their_publication(by_hand: ByHand) -> None:
    first, second, third = (*publish(by_hand, b"1", b"2"), *publish(by_hand, b"3"))
    by_hand.take("UPDATE duly.outgoing_messages SET failures = 1 WHERE id = %(id)s", id=first)
    assert locked(by_hand) == [first, second, third]
    (position,) = by_hand.take(
        "SELECT position FROM duly.outgoing_messages WHERE id = %(id)s", id=first
    )
    assert locked(by_hand, after=position["position"]) == [second, third]


def test_of_many_messages_the_first_thousand_are_locked(by_hand: ByHand) -> None:
    messages = publish(by_hand, *[b"x"] * 1001)
    by_hand.take("VACUUM FULL duly.outgoing_messages")  # so that the first has to lie last now
    by_hand.take("UPDATE duly.outgoing_messages SET failures = 1 WHERE id = %(id)s", id=messages[0])
    by_hand.take(AS_THEY_LIE)
    assert locked(by_hand) == messages[:1000]


def test_what_another_relay_has_locked_is_skipped(by_hand: ByHand, other_hand: ByHand) -> None:
    first, late = publish(by_hand, b"1", b"2")
    defer(by_hand, late)
    by_hand.take(DUE, id=late, age=HOUR)
    with other_hand.connection.transaction():
        assert locked(other_hand) == [first, late]
        (third,) = publish(by_hand, b"3")
        assert locked(by_hand) == [third]
    assert locked(by_hand) == [first, late, third]


def test_a_batch_has_eight_megabytes_of_bodies(by_hand: ByHand) -> None:
    messages = publish(by_hand, *[bytes(1_000_000)] * 10)
    assert locked(by_hand) == messages[:8]


def test_a_relay_that_published_nothing_finds_what_waits(by_hand: ByHand) -> None:
    assert not by_hand.take(transitions.MESSAGES_WAIT)
    (message,) = publish(by_hand, b"1")
    assert by_hand.take(transitions.MESSAGES_WAIT)
    defer(by_hand, message)
    assert not by_hand.take(transitions.MESSAGES_WAIT)
    by_hand.take(DUE, id=message, age=HOUR)
    assert by_hand.take(transitions.MESSAGES_WAIT)
    by_hand.take(transitions.KEEP_SENT, id=[message])
    assert not by_hand.take(transitions.MESSAGES_WAIT)


def test_what_was_sent_is_locked_no_more_and_others_are(by_hand: ByHand) -> None:
    first, second, third = publish(by_hand, b"1", b"2", b"3")
    by_hand.take(transitions.KEEP_SENT, id=[first])
    assert locked(by_hand) == [second, third]
    assert defer(by_hand, second) == [1]
    assert locked(by_hand) == [third]
    by_hand.take(DUE, id=second, age=HOUR)
    assert locked(by_hand) == [second, third]
    by_hand.take(transitions.KEEP_SENT, id=[second])
    assert locked(by_hand) == [third]


def test_deferred_messages_come_back_oldest_first_and_never_move_the_cursor(
    by_hand: ByHand,
) -> None:
    messages = publish(by_hand, *[b"x"] * 101)
    defer(by_hand, *messages)
    for id_ in messages:
        by_hand.take(DUE, id=id_, age=HOUR)
    by_hand.take("VACUUM FULL duly.outgoing_messages")  # so that the oldest has to lie last now
    by_hand.take(DUE, id=messages[-1], age=2 * HOUR)
    by_hand.take(AS_THEY_LIE)
    found = by_hand.take(transitions.LOCK_MESSAGES, after=0)
    assert len(found) == 100
    assert UUID(found[-1]["id"]) == messages[-1]
    assert {row["position"] for row in found} == {None}


def test_a_refusal_counts_and_a_full_queue_does_not(by_hand: ByHand) -> None:
    first, second = publish(by_hand, b"1", b"2")
    assert [defer(by_hand, first)[0] for _ in range(3)] == [1, 2, 3]
    assert defer(by_hand, second, failures=0) == [0]
    given: Any = {"id": [first, second], "failures": [1, 0]}
    found = by_hand.take(transitions.DEFER_MESSAGES, **given)
    assert {UUID(row["id"]): row["failures"] for row in found} == {first: 4, second: 0}


def test_a_message_becomes_one_dead_letter_and_only_if_refused_often_enough(
    by_hand: ByHand,
) -> None:
    first, second = publish(by_hand, b"1", b"2")
    defer(by_hand, first, second)
    assert bury(by_hand, first, failures=2) == []
    assert len(bury(by_hand, first)) == 1
    assert bury(by_hand, first) == []
    letters = by_hand.take("SELECT outgoing_id, message_body FROM duly.dead_letters")
    assert letters == [{"outgoing_id": first, "message_body": b"1"}]


def test_a_replayed_message_is_due_again(by_hand: ByHand) -> None:
    (message, letter), (_, other) = dead(by_hand), dead(by_hand)
    assert locked(by_hand) == []
    assert replay(by_hand, letter) == [letter]
    assert locked(by_hand) == [message]
    assert replay(by_hand, letter) == []
    defer(by_hand, message)
    (again,) = bury(by_hand, message)
    assert replay(by_hand, letter) == []
    assert locked(by_hand) == []
    assert sorted(replay(by_hand, again, other)) == sorted([again, other])


def test_letters_of_messages_are_locked_in_the_order_of_their_ids(
    by_hand: ByHand, other_hand: ByHand, database_url: str
) -> None:
    """So that two people's bulk actions wait for each other and do not deadlock."""
    letters = [dead(by_hand)[1] for _ in range(3)]
    by_hand.take("UPDATE duly.dead_letters SET queue = queue WHERE id = %(id)s", id=letters[0])
    by_hand.take(AS_THEY_LIE)
    lock = "SELECT id FROM duly.dead_letters WHERE id = ANY (%(ids)s) FOR UPDATE SKIP LOCKED"
    with ThreadPoolExecutor(1) as thread:
        with psycopg.connect(database_url) as other:
            other.execute(lock, {"ids": letters[:1]})
            replaying = thread.submit(replay, by_hand, *reversed(letters))
            wait_for("one to wait for the other", lambda: other_hand.take(WAITING))
            assert len(other_hand.take(lock, ids=letters[1:])) == 2
        assert sorted(replaying.result()) == letters


def test_a_letter_that_is_discarded_meanwhile_is_not_replayed(
    by_hand: ByHand, other_hand: ByHand, database_url: str
) -> None:
    _, letter = dead(by_hand)
    with ThreadPoolExecutor(1) as thread:
        with psycopg.connect(database_url) as other:
            ByHand(other).close(transitions.DISCARD, letter)
            replaying = thread.submit(replay, by_hand, letter)
            wait_for("one to wait for the other", lambda: other_hand.take(WAITING))
        assert replaying.result() == []
    assert locked(by_hand) == []


def test_a_message_that_is_dead_no_more_is_not_replayed(by_hand: ByHand) -> None:
    message, letter = dead(by_hand)
    by_hand.take(transitions.KEEP_SENT, id=[message])
    assert replay(by_hand, letter) == []


@pytest.mark.parametrize("wanted", [{"exchange": "y"}, {"routing_key": "l"}])
def test_messages_of_a_time_and_a_way_are_sent_again(
    by_hand: ByHand, wanted: dict[str, str]
) -> None:
    (one,) = publish(by_hand, b"1")
    (other,) = publish(by_hand, b"2", exchange="y", routing_key="l")
    (waiting,) = publish(by_hand, b"3", exchange="y", routing_key="l")
    by_hand.take(transitions.KEEP_SENT, id=[one, other])
    now = datetime.now(UTC)
    assert resend(by_hand, until=now - HOUR) == resend(by_hand, since=now + HOUR) == []
    assert resend(by_hand, **wanted) == [other]
    assert locked(by_hand) == [other, waiting]
    assert resend(by_hand) == [one]


def test_two_people_who_send_again_do_not_wait_for_each_other(
    by_hand: ByHand, other_hand: ByHand
) -> None:
    messages = publish(by_hand, b"1", b"2")
    by_hand.take(transitions.KEEP_SENT, id=messages)
    by_hand.take("SET lock_timeout = '5s'")
    with other_hand.connection.transaction():
        assert sorted(resend(other_hand)) == sorted(messages)
        assert resend(by_hand) == []


def test_messages_are_pruned_once_sent_long_ago_or_discarded(
    by_hand: ByHand, other_hand: ByHand
) -> None:
    waiting, recent, old = publish(by_hand, b"1", b"2", b"3")
    by_hand.take(transitions.KEEP_SENT, id=[recent, old])
    by_hand.take(AGO, id=old, age=2 * HOUR)
    (deferred,) = publish(by_hand, b"4")
    defer(by_hand, deferred)
    (still_open, _), (discarded, letter) = dead(by_hand), dead(by_hand)
    by_hand.take(transitions.DISCARD, ids=[letter], **PERSON)
    with other_hand.connection.transaction():
        other_hand.take("SELECT FROM duly.outgoing_messages FOR UPDATE")
        by_hand.take("SET lock_timeout = '5s'")
        by_hand.take(transitions.PRUNE_MESSAGES, retention=HOUR)
    assert kept(by_hand) == [waiting, recent, old, deferred, still_open, discarded]
    by_hand.take(transitions.PRUNE_MESSAGES, retention=HOUR)
    assert kept(by_hand) == [waiting, recent, deferred, still_open]


def test_a_message_is_begun_until_it_is_done(by_hand: ByHand) -> None:
    assert receive(by_hand, "1", "2") == ["1", "2"]
    assert receive(by_hand, "2", "3") == ["3"]
    assert receive(by_hand, "1", queue="other") == ["1"]
    assert [count(by_hand, "4"), count(by_hand, "4"), count(by_hand, "1")] == [1, 2, 0]
    assert receive(by_hand, "4") == ["4"]
    assert receive(by_hand, "4") == []


def test_received_messages_are_forgotten_after_their_retention(
    by_hand: ByHand, other_hand: ByHand
) -> None:
    receive(by_hand, "old", "new", "held")
    ago = (
        "UPDATE duly.received_messages SET received_at = now() - %(age)s WHERE message_id = %(id)s"
    )
    for id_ in ("old", "held"):
        by_hand.take(ago, age=2 * HOUR, id=id_)
    with other_hand.connection.transaction():
        held = "SELECT FROM duly.received_messages WHERE message_id = 'held' FOR UPDATE"
        other_hand.take(held)
        by_hand.take("SET lock_timeout = '5s'")
        by_hand.take(transitions.PRUNE_RECEIVED, retention=HOUR)
    assert sorted(receive(by_hand, "old", "new", "held")) == ["old"]
