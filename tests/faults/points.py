"""The moments as a test's parameters."""

from collections.abc import Sequence

import pytest

from tests.faults.moments import Moment


def points(moments: Sequence[Moment], *quick: str) -> pytest.MarkDecorator:
    """A test for each moment; those that are not named as quick are slow."""
    unknown = set(quick) - {moment.name for moment in moments}
    assert not unknown, f"no moment {unknown}"
    return pytest.mark.parametrize(
        "moment",
        [
            pytest.param(
                moment,
                marks=() if moment.name in quick else pytest.mark.slow,
                id=moment.name.replace(" ", "-"),
            )
            for moment in moments
        ],
    )
