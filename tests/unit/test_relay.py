"""How often the relay looks at all there is."""

import pytest

from outbox.relay import LONGEST_REST_SECONDS, LOOK_SECONDS, _rest


@pytest.mark.parametrize(
    ("took", "rest"), [(0, LOOK_SECONDS), (0.1, 0.9), (15, LONGEST_REST_SECONDS)]
)
def test_a_look_is_followed_by_a_rest_that_a_silent_broker_does_not_stretch(
    took: float, rest: float
) -> None:
    assert _rest(took) == pytest.approx(rest)
