"""Keeps the passwords and keys of the settings out of what is found."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from pydantic import SecretStr

from outbox.redaction.fields import HIDDEN
from outbox.settings import Settings

LOGIN = re.compile(r"(?<=://)[^\s/@]*:[^\s/@]*(?=@)")
"""User and password in an address."""
NAME = "duly"
PASSWORD = re.compile(r"(?i)(?<=password=)('[^']*'|\S+)")


def without_secrets(settings: Settings, text: str) -> str:
    """The text without logins in addresses, and without any secret that the settings have."""
    for secret in sorted(_secrets(settings), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return PASSWORD.sub(HIDDEN, LOGIN.sub(HIDDEN, text))


def _secrets(settings: Settings) -> Iterator[str]:
    for name in type(settings).model_fields:
        for value in _flat(getattr(settings, name)):
            if isinstance(value, SecretStr):
                yield value.get_secret_value()
            elif isinstance(value, str):
                yield from _passwords(value)


def _flat(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def _passwords(address: str) -> Iterator[str]:
    """The passwords in it, as they are written there and as they are meant.

    One that is also the user's name, or ours, is left out: to hide it in each text would hide names
    and commands, and tell what it is.
    """
    for login in LOGIN.findall(address):
        user, _, password = login.partition(":")
        if password not in ("", user, NAME):
            yield from (password, unquote(password))
    for written in PASSWORD.findall(address):
        yield written.strip("'")
