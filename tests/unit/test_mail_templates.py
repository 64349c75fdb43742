"""Templates of mails, and the text of those that have only HTML."""

import re
import time
from typing import Any

import pytest

from service.mail.one_line import PATTERN
from service.mail.templates import plain_text, rendering
from service.mail.templates.rendering import BadData, NoSuchTemplate

NOTE: dict[str, Any] = {"subject": "Hi", "name": "Ada", "message": "All is well."}
LINE = {"description": "Tea", "quantity": "2", "amount": "7.00"}
INVOICE: dict[str, Any] = {
    "customer": "Ada",
    "number": "1",
    "date": "2026-01-31",
    "currency": "EUR",
    "total": "7.00",
    "lines": [LINE],
}


def test_each_template_says_what_it_needs() -> None:
    assert {name: set(rendering.fields(name)) for name in rendering.names()} == {
        "invoice": set(INVOICE),
        "note": set(NOTE),
    }


@pytest.mark.parametrize(("name", "data"), [("note", NOTE), ("invoice", INVOICE)])
def test_what_is_missing_is_named(name: str, data: dict[str, Any]) -> None:
    for field in data:
        less = {key: value for key, value in data.items() if key != field}
        with pytest.raises(BadData, match=field):
            rendering.render(name, less)


def test_what_is_missing_in_a_line_is_named() -> None:
    with pytest.raises(BadData, match="amount"):
        rendering.render("invoice", INVOICE | {"lines": [{"description": "a", "quantity": "1"}]})


def test_what_no_template_shows_is_refused() -> None:
    with pytest.raises(BadData, match="'nmae' is no field of the template 'note'"):
        rendering.render("note", NOTE | {"nmae": "Ada"})


@pytest.mark.parametrize("lines", [5, None, "text", [None], {"a": 1}])
def test_data_of_another_sort_is_refused(lines: Any) -> None:
    with pytest.raises(BadData):
        rendering.render("invoice", INVOICE | {"lines": lines})


def test_values_are_text_and_no_markup() -> None:
    hostile = "<script>alert(1)</script> {{ 7 * 7 }} \" onload='x'"
    made = rendering.render("note", NOTE | {"name": hostile, "message": hostile})
    assert hostile in made.text
    assert made.html
    assert "<script>" not in made.html
    assert "49" not in made.html
    assert "&lt;script&gt;" in made.html


def test_a_subject_is_one_line() -> None:
    made = rendering.render("note", NOTE | {"subject": "Hello\r\nBcc: eve@example.com\n"})
    assert made.subject == "Hello Bcc: eve@example.com"
    assert re.fullmatch(PATTERN, made.subject)


@pytest.mark.parametrize("name", ["\u0642\u0647\u0648\u0629", "\u05e7\u05e4\u05d4 12"])
def test_a_number_stays_behind_a_text_from_the_right(name: str) -> None:
    made = rendering.render("invoice", INVOICE | {"lines": [LINE | {"description": name}]})
    assert f"2 x {name}\u200e: 7.00 EUR" in made.text
    assert f">{name}</td>" in (made.html or "")


def test_a_name_in_another_direction_leaves_its_sentence_as_it_is() -> None:
    name = "\u0645\u062d\u0645\u062f"
    for template, data in (
        ("note", NOTE | {"name": name}),
        ("invoice", INVOICE | {"customer": name}),
    ):
        assert f"Dear <bdi>{name}</bdi>," in (rendering.render(template, data).html or "")


def test_a_long_invoice_is_cut_in_the_mail() -> None:
    made = rendering.render("invoice", INVOICE | {"lines": [LINE] * 100})
    assert made.html
    assert "and 80 more, all in the attached PDF" in made.html
    assert "and 80 more, all in the attached PDF" in made.text
    assert (made.text.count("Tea"), made.html.count("Tea")) == (20, 20)
    assert len(made.html) < 102_400  # Google shows no more of a mail


@pytest.mark.parametrize("name", ["none", "..", "../mail", "", "invoice/"])
def test_a_name_leads_to_a_template_or_nowhere(name: str) -> None:
    with pytest.raises(NoSuchTemplate):
        rendering.render(name, {})


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello <b>Ada</b>,</p><p>all is<br>well.</p>", "Hello Ada,\n\nall is\nwell.\n"),
        ("<style>p{}</style><script>x</script><title>t</title>Hi", "Hi\n"),
        ('<a href="https://a.example/x">here</a>', "here (https://a.example/x)\n"),
        ('<a href="javascript:x">here</a>', "here\n"),
        ("<ul><li>a<li>b</ul>", "- a\n- b\n"),
        ("a &amp; b&nbsp;c &#233;", "a & b c é\n"),
        ('<img src="cid:x" alt="Duly">', "Duly\n"),
        ("<table><tr><td>a<td>b<tr><td>c<td>d</table>", "a b\nc d\n"),
        ("", "\n"),
        ("1 < 2 <b>and</b> 3 > 2 </ x>!", "1 < 2 and 3 > 2 !\n"),
        ("<!DOCTYPE html><!-- <p>no</p> --><?x y?>yes", "yes\n"),
        ("<p title=it's>it's</p><img src=x alt='a > b'>", "it's\n\na > b\n"),
        (
            "<script>if (a<b) '<p>'</script>a<title>b <i></title><A HREF=http://x>c</A>",
            "ac (http://x)\n",
        ),
        ("a<b", "a\n"),
    ],
)
def test_html_as_text(html: str, text: str) -> None:
    assert plain_text.of(html) == text


@pytest.mark.parametrize("end", ["", ">", "-->", "'>"])
@pytest.mark.parametrize(
    "begin",
    ["<", "<a ", "</", "<!--", "<?", "<![CDATA[", "<a b='", "<a ='>", "<script>", "&", "&#"],
)
def test_html_that_never_ends_takes_no_time(begin: str, end: str) -> None:
    began = time.process_time()
    plain_text.of(begin * (200_000 // len(begin)) + end)
    assert time.process_time() - began < 5
