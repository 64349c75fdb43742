"""Mail addresses as the service takes them, and as mail servers take them."""

from typing import Annotated

import idna
from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, EmailStr


def to_ascii(address: str) -> str:
    """The address as every mail server takes it: its domain in A-labels (RFC 5890).

    Raises ValueError where that cannot be: the part before the @ is not ASCII, or looks like an
    encoded word (RFC 2047), which mail programs decode to any character there is.
    """
    try:
        parts = validate_email(address, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    if "=?" in parts.local_part or parts.ascii_email is None:
        raise ValueError("The part before the @-sign must not look like an encoded word.")
    return parts.ascii_email


def sender_to_ascii(address: str) -> str:
    """The same for an address of our own, which may be at a host such as `localhost`.

    Raises ValueError.
    """
    local, at, domain = address.rpartition("@")
    if not (local and at and domain and local.isascii()):
        raise ValueError("The sender needs an address, in ASCII before the @-sign.")
    return f"{local}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode()}"


def _deliverable(address: str) -> str:
    to_ascii(address)
    return address


MailAddress = Annotated[EmailStr, AfterValidator(_deliverable)]
"""An address that `to_ascii` takes. Its domain may be written in any script."""
