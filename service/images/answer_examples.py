"""Example responses for the API's documentation."""

from outbox.http.openapi.job_examples import JOB_SUMMARY, Answer

_IMAGE_ID = "01920000-0000-7000-8000-000000000005"
_PATH = f"/v1/images/{_IMAGE_ID}"


def _version(size: str, width: int, height: int, length: int) -> Answer:
    link = f"{_PATH}/{size}.avif"
    shape = {"width": width, "height": height, "bytes": length}
    return {"size": size, "format": "avif", **shape, "link": link}


_WAITING: Answer = {
    "id": _IMAGE_ID,
    "state": "waiting",
    "why": None,
    "width": None,
    "height": None,
    "created_at": "2026-01-31T09:00:00Z",
    "versions": [],
    "jobs": [{**JOB_SUMMARY, "kind": "image.process", "queue": "images"}],
    "links": {"self": _PATH},
}
_READY: Answer = {
    **_WAITING,
    "state": "ready",
    "width": 4032,
    "height": 3024,
    "versions": [_version("large", 1600, 1200, 106454), _version("small", 200, 150, 4829)],
}

ANSWERS = {"NewImage": _WAITING, "Image": _READY}
"""Examples by the name of their OpenAPI schema."""
