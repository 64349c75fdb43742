"""Who acts, for the record."""

import getpass
import os
import socket
from typing import Annotated

import typer


def user_at_host() -> str:
    """The user as the system knows it; a container's may have no name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid{os.getuid()}"
    return f"{name}@{socket.gethostname()}"


ByOption = Annotated[
    str,
    typer.Option(
        "--by",
        default_factory=user_at_host,
        show_default="user@host",
        help="Who is recorded as having done it.",
    ),
]
