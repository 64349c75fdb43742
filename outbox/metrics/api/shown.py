"""Writes metrics in the format that a scraper accepts."""

import re

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition

from outbox.metrics.registry import Metrics

OPENMETRICS = re.compile(r"application/openmetrics-text(?! *; *version=(?!1\.0\.0))")
"""Matches in an `Accept` header the version of OpenMetrics that is written here."""


def shown(metrics: Metrics, accepts: str) -> tuple[bytes, str]:
    """The metrics as OpenMetrics or as text, and the media type, for an `Accept` header.

    prometheus-client's `choose_encoder` is not used: it raises for a version that is no number.
    """
    if OPENMETRICS.search(accepts):
        content: bytes = exposition.generate_latest(metrics.registry)  # type: ignore[no-untyped-call]
        return content, exposition.CONTENT_TYPE_LATEST
    return generate_latest(metrics.registry), CONTENT_TYPE_PLAIN_0_0_4
