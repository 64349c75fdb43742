"""Batches, and members to add to one, as the API accepts them."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, StrictBool, create_model, model_validator

from outbox.http.routes.jobs.new_job import AnyNewJob
from outbox.http.routes.jobs.open_work import OpenWork, restricted
from outbox.kinds import Kinds, Work

MOST_MEMBERS = 1_000
"""How many members one request brings. A larger batch grows, request by request."""
CALLBACKS = ("on_success", "on_settled", "on_first_death")

Place = tuple[str | int, ...]
"""Where something stands in the body, such as `("jobs", 3)`."""
Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class AnyCallback(OpenWork):
    """A job that follows a batch."""


class Given(BaseModel):
    """Members of a batch that a request brings, in `jobs`."""

    model_config = ConfigDict(extra="forbid")

    jobs: Annotated[list[AnyNewJob], Field(max_length=MOST_MEMBERS)]

    def members(self) -> dict[Place, OpenWork]:
        """The members, by their places."""
        return {("jobs", place): job for place, job in enumerate(self.jobs)}


class AnyNewMembers(Given):
    """Members to add to a batch. With `seal` they are the last; there may be none then."""

    seal: StrictBool = False

    @model_validator(mode="after")
    def _adds_something(self) -> "AnyNewMembers":
        if not (self.jobs or self.seal):
            raise ValueError("jobs is empty: nothing would be added")
        return self


class AnyNewBatch(Given):
    """A batch with its members, and the jobs that follow: its callbacks.

    With `seal` false it grows until it is sealed; only then may it have no member yet.
    """

    on_success: AnyCallback | None = None
    on_settled: AnyCallback | None = None
    on_first_death: AnyCallback | None = None
    subject: Text | None = None
    seal: StrictBool = True

    @model_validator(mode="after")
    def _has_members(self) -> "AnyNewBatch":
        if self.seal and not self.jobs:
            raise ValueError("jobs is empty: to add members later, send seal: false")
        return self

    def callbacks(self) -> dict[Place, OpenWork]:
        """The callbacks, by their places."""
        given: dict[Place, OpenWork | None] = {(name,): getattr(self, name) for name in CALLBACKS}
        return {place: each for place, each in given.items() if each}


def works_of(given: Mapping[Place, OpenWork]) -> dict[Place, Work[Any]]:
    """The work at each place. Raises one RequestValidationError for all that is wrong."""
    found: dict[Place, Work[Any]] = {}
    errors: list[Any] = []
    for place, each in given.items():
        try:
            found[place] = each.work(*place)
        except RequestValidationError as error:
            errors += error.errors()
    if errors:
        raise RequestValidationError(errors)
    return found


def new_batch(kinds: Kinds, job: type[AnyNewJob]) -> type[AnyNewBatch]:
    """The model of a batch of these jobs, whose callbacks are of these kinds."""
    callback = restricted(AnyCallback, "NewCallback", "Callback", kinds)
    fields: dict[str, Any] = dict.fromkeys(CALLBACKS, (callback | None, None))
    doc = AnyNewBatch.__doc__
    return create_model("NewBatch", __base__=AnyNewBatch, __doc__=doc, **fields, **_jobs(job))


def new_members(job: type[AnyNewJob]) -> type[AnyNewMembers]:
    """The model of such jobs, to add to a batch."""
    doc = AnyNewMembers.__doc__
    return create_model("NewMembers", __base__=AnyNewMembers, __doc__=doc, **_jobs(job))


def _jobs(job: type[AnyNewJob]) -> dict[str, Any]:
    members = Annotated[list[job], Field(max_length=MOST_MEMBERS)]  # type: ignore[valid-type]
    return {"jobs": (members, ...)}
