"""Dead letters and forged, late or doubled messages; and letters that no longer fit their job."""

import pytest

from outbox.store import transitions
from tests.protocol.parts import Message, collect
from tests.support.engine.by_hand import ByHand


@pytest.mark.parametrize("forged", [{"kind": "another"}, {"queue": "another"}])
def test_a_forged_message_buries_nothing(hands: list[ByHand], forged: dict[str, str]) -> None:
    hand = hands[0]
    job = hand.submit()
    assert not hand.bury(job, **forged)  # type: ignore[arg-type]
    assert hand.bury(job)


def test_a_forged_message_buries_nothing_before_its_time(hands: list[ByHand]) -> None:
    hand = hands[0]
    job = hand.submit()
    hand.take("UPDATE duly.jobs SET run_at = run_at + interval '1 hour'")
    assert not hand.bury(job)


def test_a_letter_keeps_the_first_message_that_it_got(hands: list[ByHand]) -> None:
    hand = hands[0]
    job, _ = hand.dead()
    collect(hand, Message(job, 1), transitions.ATTACH_MESSAGE)
    before = hand.letters(job)
    collect(hand, Message(job, 1), transitions.ATTACH_MESSAGE)
    assert hand.letters(job) == before


def test_a_message_joins_the_letter_of_its_own_dispatch(hands: list[ByHand]) -> None:
    hand = hands[0]
    job, letter = hand.dead()
    hand.close(transitions.REPLAY, letter)
    hand.claim(job, dispatch=2)
    hand.die(job, dispatch=2, attempt=2)
    collect(hand, Message(job, 2), transitions.ATTACH_MESSAGE)
    assert [each["message_body"] for each in hand.letters(job)] == [None, b"bytes"]


@pytest.mark.parametrize("change", ["state = 'succeeded'", "dispatch = dispatch + 1"])
def test_a_letter_that_no_longer_fits_its_job_replays_nothing(
    hands: list[ByHand], change: str
) -> None:
    """No step leaves one, but a person with an UPDATE may: their job must not run again."""
    hand = hands[0]
    _, letter = hand.dead()
    hand.take(f"UPDATE duly.jobs SET {change}")
    assert hand.close(transitions.REPLAY, letter) == []
