"""The transitions that claim jobs: which one a kind needs, and what they are where nobody waits."""

from typing import Any

from outbox.flow.unique import Until
from outbox.kinds import Kind
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


def claim_of(kind: Kind[..., Any]) -> str:
    """The transition that claims jobs of this kind."""
    if kind.unique is not None and kind.unique.until is Until.STARTED:
        return transitions.CLAIM_UNIQUE_LIMITED if kind.is_limited else transitions.CLAIM_UNIQUE
    return transitions.CLAIM_LIMITED if kind.is_limited else transitions.CLAIM
