"""How often the relay looks at all there is."""

import pytest

from outbox.relay.loop import LONGEST_SWEEP_INTERVAL_SECONDS, SWEEP_SECONDS, _sweep_interval


@pytest.mark.parametrize(
    ("took", "rest"), [(0, SWEEP_SECONDS), (0.1, 0.9), (15, LONGEST_SWEEP_INTERVAL_SECONDS)]
)
def test_a_look_is_followed_by_a_rest_that_a_silent_broker_does_not_stretch(
    took: float, rest: float
) -> None:
    assert _sweep_interval(took) == pytest.approx(rest)
