"""The transitions that claim jobs: which one a kind needs, and what they are where nobody waits."""

from typing import Any

from outbox.flow.unique import Until
from outbox.kinds import Kind
from outbox.postgres.round_trip import array
from outbox.store import transitions

_ASYNC_COMMIT = "set_config('synchronous_commit', 'off', true)"
ASYNC_CLAIMS = {
    transitions.CLAIM: f"{transitions.CLAIM}, {_ASYNC_COMMIT}",
    transitions.CLAIM_UNIQUE: transitions.CLAIM_UNIQUE.replace(
        "\nSELECT *", f"\nSELECT *, {_ASYNC_COMMIT}"
    ),
}
"""The claims, for a transaction of claims alone: its commit does not wait for the disk.

This adds a column to what they return: CLAIM's text ends with its RETURNING list.

If Postgres crashes, it may lose such a claim. The job is then `queued` and its publication is still
remembered: a later commit that waits for the disk flushes the claim as well. Whatever this worker
does with the job is fenced, by the state, or by the worker's name once another worker has claimed
the job under the same attempt number. So the job runs again, as after a crash of the worker.
"""

LOCK_CLOCKS = (transitions.CLAIM_RATED, transitions.CLAIM_UNIQUE_RATED, transitions.RATE_LIMITED)
"""The statements that lock the clocks of keys, in the order of the keys."""


def claim_of(kind: Kind[..., Any]) -> str:
    """The transition that claims jobs of this kind."""
    is_unique = kind.unique is not None and kind.unique.until is Until.STARTED
    if kind.is_rated:
        return transitions.CLAIM_UNIQUE_RATED if is_unique else transitions.CLAIM_RATED
    if kind.is_limited:
        return transitions.CLAIM_UNIQUE_LIMITED if is_unique else transitions.CLAIM_LIMITED
    return transitions.CLAIM_UNIQUE if is_unique else transitions.CLAIM


def rates_of(kind: Kind[..., Any]) -> dict[str, str]:
    """What the claim of a kind with rates has to know of it: of each key, or zeros without one."""
    if not kind.is_rated:
        return {}
    rates = [key.rate for key in kind.keys]
    return {
        "spacings": array(rate.spacing_us if rate else 0 for rate in rates),
        "bursts": array(rate.burst if rate else 0 for rate in rates),
    }
