"""Loaded by schemathesis: what it must know beyond OpenAPI to make good requests."""

import re
from typing import Any
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from outbox.http.requests.idempotency import KEY
from outbox.http.routes.jobs.new_job import StorableMoment

MOMENT = TypeAdapter[object](StorableMoment)

# No special-use name such as `.test`: no mail can be sent there, and so they are refused.
schemathesis.openapi.format(
    "email", st.from_regex(r"[a-z]{1,9}@[a-z]{1,9}\.(com|org)", fullmatch=True)
)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Change what is valid, and yet would be refused or take long.

    An Idempotency-Key becomes one that no earlier request had. Nothing ends the job that is waited
    for.
    """
    if str((case.query or {}).get("wait", "")).isdecimal():
        case.query["wait"] = 0 if int(case.query["wait"]) <= 60 else 61
    if isinstance(case.body, dict) and _is_moment(case.body.get("expires_at")):
        del case.body["expires_at"]  # which must be later than run_at
    headers = case.headers or {}
    if re.search(KEY, str(headers.get("Idempotency-Key", ""))):
        headers["Idempotency-Key"] = str(uuid4())


def _is_moment(value: object) -> bool:
    try:
        MOMENT.validate_python(value)
    except ValidationError:
        return False
    return True
