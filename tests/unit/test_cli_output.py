"""What a terminal is never told to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.cli.terminal.output import Output, show, show_rows
from outbox.values.printable import plain


@given(st.text())
def test_plain_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    assert plain(text).isprintable()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_plain_text_leaves_what_can_be_printed(text: str) -> None:
    assert plain(text) == text


def test_a_table_shows_the_first_line_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([{"id": 1, "error": "[red]no\x1b[0m\nsecond line"}], ("id", "error"), Output.TABLE)
    assert capsys.readouterr().out.splitlines()[1].rstrip() == r"1   [red]no\x1b[0m"


def test_a_row_stays_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([{"id": "x" * 36, "error": "long " * 50}], ("id", "error"), Output.TABLE)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_record_shows_names_and_all_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show({"payload": {"\x1b": "one\ntwo"}, "attempts": []}, Output.TABLE)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["payload", r"\x1b", "one"], ["two"], ["attempts", "[]"]]
