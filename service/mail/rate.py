"""The mail server's rate: how many mails may be handed to it in a time, over all workers."""

import re
from datetime import timedelta

from outbox import Key, Rate

VARIABLE = "DULY_MAIL_RATE"
SERVER = "mail-server"
"""The key that all mails have, if the server has a rate."""
SECONDS = {"s": 1, "m": 60, "h": 3600}
FORM = re.compile(r"(\d{1,7})/(\d{0,5})([smh])", re.ASCII)


def read(text: str) -> Rate:
    """Parse a rate such as `100/1m`. Raises ValueError."""
    found = FORM.fullmatch(text)
    if found is None:
        raise ValueError("must be a rate such as 100/1m, with s, m or h")
    return Rate(int(found[1]), per=timedelta(seconds=int(found[2] or 1) * SECONDS[found[3]]))


def server_key(text: str | None) -> Key | None:
    """The key of the kinds of mail; None without a rate.

    Kinds are declared when they are imported, before settings are read. A text that is no rate is
    passed over here, and stops the process when its settings are read.
    """
    try:
        return Key(_server, rate=read(text)) if text else None
    except ValueError:
        return None


def _server(_work: object) -> str:
    return SERVER
