"""Talk to the person at the terminal: on stderr, for stdout belongs to programs."""

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


class Failure(Exception):
    """What went wrong, in words for the person at the terminal."""


def say(line: str) -> None:
    """Print one line on stderr."""
    print(line, file=sys.stderr, flush=True)


def shown(path: Path) -> str:
    """The path as a person in the checkout would type it."""
    return str(path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path)
