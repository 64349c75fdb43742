"""Mail addresses: which ones the service accepts, and their form for mail servers."""

import re
from email.utils import getaddresses
from typing import Annotated, NamedTuple

import idna
from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, EmailStr

LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
NO_SENDER = "must be one address like billing@example.com, or Name <billing@example.com>"


class Recipient(NamedTuple):
    """An address as mail servers accept it: its domain in A-labels (RFC 5890)."""

    address: str
    needs_utf8: bool
    """Whether the part before the @ is not ASCII, so that the server must offer SMTPUTF8."""


def recipient(address: str) -> Recipient:
    """The address for the mail server.

    Raises ValueError for what is no address, and if the part before the @ looks like an encoded
    word (RFC 2047), which mail programs may decode to any character.
    """
    try:
        parts = validate_email(address, check_deliverability=False)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    if "=?" in parts.local_part:
        raise ValueError("The part before the @-sign must not look like an encoded word.")
    return Recipient(
        f"{parts.local_part}@{parts.ascii_domain}", needs_utf8=not parts.local_part.isascii()
    )


def to_ascii(address: str) -> str:
    """The address as every mail server accepts it. Raises ValueError if that is impossible."""
    found = recipient(address)
    if found.needs_utf8:
        raise ValueError("The part before the @-sign must be ASCII.")
    return found.address


def normalised(address: str) -> str:
    """The address in one form, by which it is found again: for servers, and in lower case.

    Raises ValueError as `recipient` does.
    """
    return recipient(address).address.lower()


class Sender(NamedTuple):
    """The sender of our mails."""

    name: str
    address: str
    """In ASCII, its domain in A-labels."""

    @property
    def domain(self) -> str:
        """The part after the @."""
        return self.address.rpartition("@")[2]


def sender(text: str) -> Sender:
    """Parse `Name <address>` or an address alone. Its domain may be a host such as `localhost`.

    Raises ValueError for anything else, such as several addresses.
    """
    found = getaddresses([text])
    if len(found) != 1 or not text.isprintable() or "=?" in text:
        raise ValueError(NO_SENDER)
    name, address = found[0]
    local, _, domain = address.rpartition("@")
    if not (LOCAL.fullmatch(local) and domain and address in text):
        raise ValueError(NO_SENDER)
    try:
        return Sender(name, f"{local}@{idna.encode(domain, uts46=True, std3_rules=True).decode()}")
    except idna.IDNAError:
        raise ValueError(NO_SENDER) from None


def _deliverable(address: str) -> str:
    recipient(address)
    return address


def _ascii(address: str) -> str:
    to_ascii(address)
    return address


MailAddress = Annotated[EmailStr, AfterValidator(_deliverable)]
"""An address that `recipient` accepts. It may be written in any script."""
AsciiMailAddress = Annotated[EmailStr, AfterValidator(_ascii)]
"""An address that `to_ascii` accepts. Its domain may be written in any script."""
