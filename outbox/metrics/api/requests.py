"""Counts and times the requests that an API answers."""

from http import HTTPMethod

from outbox.metrics.buckets import REQUEST
from outbox.metrics.labels import OTHER
from outbox.metrics.registry import Metrics

METHODS = frozenset(HTTPMethod)
UNMATCHED = "unmatched"
"""The route of requests that no route of the app matches: strangers choose their paths."""
UNANSWERED = "none"
"""The status of requests whose client was gone before an answer."""


class Requests:
    """The metrics of requests. No label holds anything else that a client has chosen."""

    def __init__(self, metrics: Metrics) -> None:
        self._total = metrics.counter(
            "duly_requests_total", "Requests that have ended.", "method", "route", "status"
        )
        self._seconds = metrics.histogram(
            "duly_request_seconds",
            "From the head of a request to the end of its answer.",
            "method",
            "route",
            buckets=REQUEST,
        )

    def ended(self, method: str, route: str | None, status: int | None, seconds: float) -> None:
        """Count a request: with the pattern of its path, if any, and with its answer's status."""
        if method not in METHODS:
            method = OTHER
        route = route or UNMATCHED
        self._total.of(method, route, str(status or UNANSWERED)).inc()
        self._seconds.of(method, route).observe(seconds)
