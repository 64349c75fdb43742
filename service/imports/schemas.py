"""Imports in requests and responses of the API."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.imports.models import Import, State
from service.imports.states import Counts
from service.mail.one_line import OneLine

Encoding = Literal[
    "utf-8",
    "utf-16-le",
    "utf-16-be",
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-15",
    "mac-roman",
    "shift_jis",
    "gb18030",
    "big5",
    "euc-kr",
]


class Options(BaseModel):
    """What is known of the file. What is not said is found out, or is an error if it cannot be.

    `decimal` is needed where numbers could mean two things, such as 1.234; `dates` where dates
    could, such as 03/04/2026: `dmy` has the day first.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal["csv", "xlsx"] | None = None
    encoding: Encoding | None = None
    separator: Literal[",", ";", "\t", "|"] | None = None
    decimal: Literal["point", "comma"] | None = None
    dates: Literal["dmy", "mdy"] | None = None
    sheet: Annotated[OneLine, Field(max_length=100)] | None = None


class NewImport(BaseModel):
    """A file with charges that is going to be uploaded. `size` is its size in bytes, if known."""

    model_config = ConfigDict(extra="forbid")

    file: Annotated[OneLine, Field(max_length=200)]
    size: Annotated[int, Field(ge=1, le=10**12)] | None = None
    options: Options = Options()


class ImportShown(BaseModel):
    """An import. Counts of rows grow while it runs; `progress` is from 0 to 1.

    `found` is what sort of file it is. `reason` says why the file was refused.
    """

    id: UUID
    file: str
    state: State
    size: int | None
    received: int
    options: Options
    found: dict[str, Any] | None
    reason: str | None
    rows: int
    good: int
    bad: int
    progress: float
    created_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    links: dict[str, str]

    @classmethod
    def of(cls, each: Import, counts: Counts) -> "ImportShown":
        """The import with its counts."""
        return cls(
            id=each.id,
            file=each.file,
            state=State(each.state),
            size=each.size,
            received=each.received,
            options=Options.model_validate(each.options),
            found=each.found,
            reason=each.reason,
            rows=counts.rows,
            good=counts.good,
            bad=counts.bad,
            progress=_progress(each, counts),
            created_at=each.created_at,
            expires_at=each.expires_at if each.state == State.UPLOADING else None,
            ended_at=each.ended_at,
            links=_links(each),
        )


class ImportPage(BaseModel):
    """A page of imports, newest first."""

    imports: list[ImportShown]
    next_cursor: str | None


class PartReceived(BaseModel):
    """How much of a file has been received, and its size, if that is known."""

    received: int
    size: int | None


def import_path(import_id: UUID) -> str:
    """The path of the import's URL."""
    return f"/v1/imports/{import_id}"


def _progress(each: Import, counts: Counts) -> float:
    """The part of the file that was read, less the part of that which is not loaded yet."""
    if each.state in (State.FINISHED, State.REFUSED):
        return 1.0
    read = min(each.bytes_read / each.size, 1.0) if each.size else 0.0
    loaded = (counts.good + counts.bad) / counts.rows if counts.rows else 0.0
    return round(read * loaded, 4)


def _links(each: Import) -> dict[str, str]:
    path = import_path(each.id)
    links = {"self": path}
    if each.state == State.UPLOADING:
        links["content"] = f"{path}/content"
    if each.state in (State.UPLOADING, State.RUNNING):
        links["cancel"] = f"{path}/cancel"
    if each.bad_rows:
        links["bad_rows"] = f"{path}/bad-rows"
    if each.batch_id:
        links["batch"] = f"/v1/batches/{each.batch_id}"
        links["jobs"] = f"/v1/jobs?subject={each.subject}"
    if each.state == State.FAILED:
        links["dead_letters"] = f"/v1/dead-letters?batch={each.batch_id}"
    return links
