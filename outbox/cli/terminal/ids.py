"""Ids as people type them."""

import typer

LARGEST = 2**63 - 1


def row_id(text: str) -> int:
    """The id of a dead letter or an act. Raises typer.BadParameter."""
    if text.isdecimal() and text.isascii() and 1 <= (number := int(text[:20])) <= LARGEST:
        return number
    raise typer.BadParameter(f"{text!r} is not an id such as 17")
