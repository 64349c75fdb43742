"""References to files in payloads, and which jobs may still need one.

A payload carries a `FileRef`, and no more has to be said: the file is not deleted while a job that
refers to it may still run. That costs nothing where a job is submitted. The sweep pays for it: it
looks through the open jobs of the kinds that have such a field, and of no others.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox import Kind

MARK = "x-refers-to-file"

FileRef = Annotated[UUID, Field(description="The id of a file.", json_schema_extra={MARK: True})]
"""The id of a file, as a field of a payload. It may stand in lists and in parts of a payload."""

# Three selects, each by an index of its own: together with OR, they would read all jobs.
NEEDED = text("""
WITH open_jobs AS (
    SELECT kind, payload FROM duly.jobs WHERE state = 'queued'
    UNION ALL
    SELECT kind, payload FROM duly.jobs WHERE state = 'running'
    UNION ALL
    SELECT job.kind, job.payload FROM duly.dead_letters AS letter
    JOIN duly.jobs AS job ON job.id = letter.job_id
    WHERE letter.closed_at IS NULL
)
SELECT DISTINCT found[1]::uuid
FROM open_jobs, regexp_matches(
    payload::text, '"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"', 'g'
) AS found
WHERE kind = ANY(:kinds) AND found[1]::uuid = ANY(:files)
""")


def kinds_with_files(kinds: Iterable[Kind[..., Any]]) -> list[str]:
    """The names of the kinds whose payload can hold a `FileRef`."""
    return [kind.name for kind in kinds if MARK in json.dumps(kind.model.model_json_schema())]


def needed_by_jobs(session: Session, files: Iterable[UUID], kinds: Iterable[str]) -> set[UUID]:
    """Those of the files that a job of these kinds refers to which may still run.

    That is a job that is queued or running, or dead with a dead letter that nobody has closed.
    """
    given = {"files": list(files), "kinds": list(kinds)}
    return set(session.scalars(NEEDED, given)) if all(given.values()) else set()
