"""The HTTP API that every app gets, and the tools for an app's own routes.

Reading order: router and routes, requests (a request's transaction), auth, problems, openapi,
server, platform, app.
"""

from outbox.http.auth.scopes import Admin, Operator, Reader, Submitter
from outbox.http.problems.problem import Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes.jobs.schemas import JobSummary

__all__ = [
    "Admin",
    "JobSummary",
    "Operator",
    "Problem",
    "Reader",
    "Submitter",
    "TransactionalRoute",
    "Tx",
]
