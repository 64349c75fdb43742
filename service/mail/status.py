"""Enhanced status codes of mail servers, such as `5.1.1` (RFC 3463), and what they mean here."""

import re

IN_REPLY = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
GONE = re.compile(r"5\.(1\.(?!7$|8$)\d+|2\.[01]|4\.[14]|0\.0)")
"""No such mailbox, host or domain, or a mailbox that is switched off.

5.1.7 and 5.1.8 are about the sender. A full mailbox (5.2.2), the mail itself (5.6) and policy (5.7)
say nothing of the address.
"""
BUSY = ("4.3.1", "4.3.2", "4.7.28", "4.7.500")
"""The server is full or takes no mail now, or (Google, Microsoft) gets too many mails from us."""
BUSY_WORDS = re.compile(r"\b(too many|too fast|throttl\w*|rate|busy)\b", re.IGNORECASE)


def of(text: str) -> str | None:
    """The status code with which a server's text begins."""
    found = IN_REPLY.match(text)
    return found[1] if found else None


def is_address_gone(status: str | None) -> bool:
    """Whether mail to the address will never arrive."""
    return status is not None and GONE.fullmatch(status) is not None


def is_busy(code: int, text: str) -> bool:
    """Whether the server wants all mails to come later, not only this one."""
    status = of(text)
    if code == 452 and status is None:
        return True
    return code == 421 or status in BUSY or (code < 500 and bool(BUSY_WORDS.search(text)))
