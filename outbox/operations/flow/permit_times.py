"""When the next permit comes of the keys of a job that waits, for statements that look."""

from typing import Any

from outbox.kinds import Kinds

RATED = """rated AS (
    SELECT * FROM unnest(%(rated)s::text[], %(places)s::int[], %(spacings)s::interval[],
                         %(bursts)s::int[]) AS rated (kind, place, spacing, burst)
)"""
"""A CTE of the rates that kinds declare. `parameters` are what it asks for."""


def next_permit(kind: str, keys: str) -> str:
    """SQL for the `key` that waits for its permit the longest, and `at`, when that is there.

    `kind` and `keys` are SQL for those of the job. No row if no key of it has a rate, or a clock.
    """
    return f"""(
    SELECT of.key, greatest(least(clock.tat, now() + rate.burst * rate.spacing)
                            + (1 - rate.burst) * rate.spacing, clock.not_before) AS at
    FROM unnest({keys}) WITH ORDINALITY AS of (key, place)
    JOIN rated ON rated.kind = {kind} AND rated.place = of.place
    JOIN duly.key_clocks AS clock ON clock.key = of.key
    LEFT JOIN duly.key_limits AS own ON own.key = of.key
    CROSS JOIN LATERAL (
        SELECT coalesce(own.burst, rated.burst) AS burst,
               coalesce(own.per / own.permits, rated.spacing) AS spacing
    ) AS rate
    WHERE rate.burst > 0
    ORDER BY 2 DESC
    LIMIT 1
)"""  # noqa: S608 - no input


def parameters(kinds: Kinds) -> dict[str, list[Any]]:
    """The rate of each key of the kinds that have rates, or None."""
    rated = [kind for kind in kinds.values() if kind.is_rated]
    keys = [(kind, place, key.rate) for kind in rated for place, key in enumerate(kind.keys, 1)]
    return {
        "rated": [kind.name for kind, _, _ in keys],
        "places": [place for _, place, _ in keys],
        "spacings": [rate and rate.per / rate.permits for *_, rate in keys],
        "bursts": [rate and rate.burst for *_, rate in keys],
    }
