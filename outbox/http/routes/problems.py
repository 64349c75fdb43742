"""Handlers that explain what the `type` of a problem means. They need no API key."""

from fastapi import APIRouter
from pydantic import BaseModel

from outbox.http.base_path import with_base_path
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.problems import types
from outbox.http.problems.problem import Problem
from outbox.http.problems.types import PROBLEM_TYPES, ProblemType
from outbox.http.requests.strict_route import StrictRoute

router = APIRouter(
    prefix="/problems",
    tags=["Documentation"],
    route_class=StrictRoute,
    responses=problem_docs(types.INVALID, types.INTERNAL),
)


class ProblemMeaning(BaseModel):
    """What the `type` of a problem means, and what to do about it."""

    type: str
    status: int
    title: str
    meaning: str

    @classmethod
    def of(cls, type_: ProblemType) -> "ProblemMeaning":
        """The meaning of problems of this type."""
        return cls(
            type=with_base_path(type_.uri),
            status=type_.status,
            title=type_.title,
            meaning=type_.meaning,
        )


class ProblemList(BaseModel):
    """All types of problems, in order of their status."""

    problems: list[ProblemMeaning]


@router.get("", summary="List types of problems", responses=success_doc(200, "ProblemList"))
async def list_problems() -> ProblemList:
    """Every `type` that a problem can have, with what it means."""
    found = sorted(PROBLEM_TYPES.values(), key=lambda type_: (type_.status, type_.name))
    return ProblemList(problems=[ProblemMeaning.of(type_) for type_ in found])


@router.get(
    "/{name}",
    summary="What a problem means",
    responses=success_doc(200, "ProblemMeaning") | problem_docs(types.NOT_FOUND),
)
async def explain_problem(name: str) -> ProblemMeaning:
    """What the `type` of a problem means, and what to do about it."""
    if name not in PROBLEM_TYPES:
        raise Problem(types.NOT_FOUND, "there is no such problem type")
    return ProblemMeaning.of(PROBLEM_TYPES[name])
