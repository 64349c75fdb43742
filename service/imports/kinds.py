"""The jobs of imports."""

from datetime import timedelta
from uuid import UUID

from outbox import Key, Kind, Priority, Retry
from service.payload import Payload

CHUNKS_AT_ONCE = 4
"""Chunks of one import that are loaded at a time: more need more memory, and are no faster."""


class RunImport(Payload):
    """Read the uploaded file, and cut it into chunks."""

    import_id: UUID


class LoadChunk(Payload):
    """Make charges of the rows of one chunk."""

    import_id: UUID
    number: int


class FinishImport(Payload):
    """Collect the bad rows, and set how the import ended. Follows when all its jobs have ended."""

    import_id: UUID


class SweepImports(Payload):
    """Give up uploads that nobody continues."""


RUN_IMPORT = Kind(
    "import.run",
    RunImport,
    queue="imports",
    time_limit=timedelta(hours=2),
    retry=Retry(attempts=20),
    owner="billing",
    idempotency="a step for each chunk; the next attempt goes on after the last step",
)
LOAD_CHUNK = Kind(
    "import.chunk",
    LoadChunk,
    queue="imports",
    time_limit=timedelta(minutes=10),
    retry=Retry(attempts=20),
    key=Key(lambda work: f"import:{work.import_id}", at_most=CHUNKS_AT_ONCE),
    owner="billing",
    idempotency="one transaction; a charge is one by import and line",
)
FINISH_IMPORT = Kind(
    "import.finish",
    FinishImport,
    queue="imports",
    priority=Priority.HIGH,
    time_limit=timedelta(minutes=10),
    retry=Retry(attempts=20),
    owner="billing",
    idempotency="the same file by the same name; all else in one transaction",
)
SWEEP_IMPORTS = Kind(
    "import.sweep",
    SweepImports,
    queue="imports",
    priority=Priority.LOW,
    time_limit=timedelta(minutes=10),
    retry=Retry(attempts=8),
    owner="billing",
    idempotency="one transaction for each import; one that is done is not found again",
)
