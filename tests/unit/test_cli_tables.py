"""Tables on a terminal, and in a pipe."""

import os
import sys

import pytest
from rich.text import Text

from outbox.cli.terminal.tables import render

ID = "0199f5a2-7c11-7aaa-8bbb-1234567890ab"
ERROR = "SMTPError: 550 5.1.1 the mailbox is not there any more, said the server"
ROW = {"id": ID, "kind": "email.send", "died_at": "-", "queue": "email", "error": ERROR}
SPARE = ("queue", "kind")


def _on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    """The lines of a table of `ROW` on a terminal of this width, without their styles."""
    monkeypatch.setenv("COLUMNS", str(columns))
    master, slave = os.openpty()
    with os.fdopen(master, "rb"), os.fdopen(slave, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        table = render([ROW], list(ROW), SPARE)
    return [Text.from_ansi(line).plain.rstrip() for line in table.splitlines()]


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_table_that_fits_has_each_row_in_a_line(
    monkeypatch: pytest.MonkeyPatch, term: str
) -> None:
    monkeypatch.setenv("TERM", term)
    header, row = _on_terminal(monkeypatch, 160)
    assert header.split() == ["id", "kind", "died", "at", "queue", "error"]
    assert row == f"{ID}  email.send  -        email  {ERROR}"


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (100, ["id", "kind", "at", "queue", "error"]),
        (80, ["id", "kind", "at", "error"]),
        (70, ["id", "at", "error"]),
    ],
)
def test_a_narrow_terminal_folds_errors_and_does_without_spare_columns(
    monkeypatch: pytest.MonkeyPatch, columns: int, names: list[str]
) -> None:
    first, header, *rows = _on_terminal(monkeypatch, columns)
    assert first.strip() == "died"
    assert header.split() == names
    assert rows[0].startswith(ID)
    assert max(map(len, (first, header, *rows))) <= columns
    start = header.index("error")
    assert " ".join(row[start:].strip() for row in rows) == ERROR


def test_a_terminal_that_is_too_narrow_gets_its_ids_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ID in "\n".join(_on_terminal(monkeypatch, 30))


def test_a_pipe_gets_each_row_whole_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    long = {"id": "x" * 3000, "error": "word " * 1000 + "end"}
    header, row = render([long], ["id", "error"], ["id"]).splitlines()
    assert header.split() == ["id", "error"]
    assert row == f"{long['id']}  {long['error']}"
