from hypothesis import given
from hypothesis import strategies as st

from outbox.submission.rate_limit import BURST, INTERVAL_SECONDS, RateLimit

PAUSES = st.lists(st.floats(0, 6 * INTERVAL_SECONDS), min_size=1, max_size=50)


def sent(pauses: list[float]) -> list[tuple[float, float]]:
    """When a sender that tries after each pause sends, and from when on it may send the next."""
    pace, now, allowed, found = RateLimit(), 0.0, 0.0, []
    for pause in pauses:
        now += pause
        if now >= allowed:
            allowed = pace.spend(now)
            found.append((now, allowed))
    return found


@given(PAUSES)
def test_nothing_is_left_out_longer_than_relays_count_on(pauses: list[float]) -> None:
    for now, allowed in sent(pauses):
        assert now <= allowed <= now + INTERVAL_SECONDS + 1e-9


@given(PAUSES)
def test_under_load_a_sender_keeps_to_its_rate(pauses: list[float]) -> None:
    moments = [now for now, _ in sent(pauses)]
    for first, begin in enumerate(moments):
        for count, end in enumerate(moments[first:], 1):
            assert count <= BURST + (end - begin) / INTERVAL_SECONDS + 1e-6


def test_a_few_may_follow_one_another_and_the_next_few_after_a_while() -> None:
    few = [1e-6] * BURST
    assert len(sent(few + few)) == BURST
    assert len(sent([*few, BURST * INTERVAL_SECONDS, *few])) == 2 * BURST
