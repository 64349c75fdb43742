"""Checks the address of the document store when a process starts."""

import re
from urllib.parse import urlsplit

BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
FORM = "must be a URL like file:///folder or s3://bucket/prefix"


def check(url: str) -> None:
    """Check the URL of a folder or bucket. Raises ValueError, which does not quote the URL."""
    where = urlsplit(url)
    is_folder = where.scheme == "file" and not where.netloc and where.path.strip("/")
    is_bucket = where.scheme == "s3" and BUCKET.fullmatch(where.netloc)
    if not (is_folder or is_bucket) or where.query or where.fragment:
        raise ValueError(FORM)
