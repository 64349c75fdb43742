"""The options --by and --why: who acts and why, for the record of acts."""

import getpass
import os
import socket
from typing import Annotated

import typer

from outbox.operations import acts


def user_at_host() -> str:
    """The operating system's user and host. A user without a name, as in a container, is `uidN`."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid{os.getuid()}"
    return f"{name}@{socket.gethostname()}"


def named(text: str) -> str:
    """Return the text unchanged. Raises typer.BadParameter if it names nobody."""
    try:
        return acts.named(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


ByOption = Annotated[
    str,
    typer.Option(
        "--by",
        default_factory=user_at_host,
        show_default="user@host",
        callback=named,
        help="Who is recorded as having done it.",
    ),
]
WhyOption = Annotated[
    str | None, typer.Option("--why", help="Why it is done, for the record of acts.")
]
