import json
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from html import escape
from quopri import encodestring
from textwrap import wrap
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from outbox import Kind
from outbox.redaction.fields import HIDDEN
from outbox.redaction.scrub import LONGEST_TEXT, PART, PHRASE, scrub


class Login(BaseModel):
    user: str
    password: Any


LOGIN = Kind("login", Login, sensitive=("password",))

# Letters of the mark itself would be found in the text again.
secrets = st.text(st.characters(exclude_characters=HIDDEN, exclude_categories=["Cs"]), min_size=4)


@given(secrets, st.text(), st.text())
def test_no_sensitive_text_survives(secret: str, before: str, after: str) -> None:
    clean = scrub(f"{before}{secret}{after}", LOGIN, {"password": secret})
    assert secret not in clean


@given(secrets)
def test_no_sensitive_text_survives_as_python_or_json_writes_it(secret: str) -> None:
    text = f"{KeyError(secret)} {json.dumps(secret)}"
    clean = scrub(text, LOGIN, {"password": secret})
    assert repr(secret)[1:-1] not in clean
    assert json.dumps(secret)[1:-1] not in clean


@given(st.lists(secrets, min_size=1), st.randoms())
def test_of_nested_values_none_survives(values: list[str], chance: Any) -> None:
    nested = {"a": values[::2], "b": {"c": values[1::2]}}
    clean = scrub(" / ".join(chance.sample(values, len(values))), LOGIN, {"password": nested})
    assert not any(value in clean for value in values)


def test_a_secret_inside_another_leaves_no_rest_of_it() -> None:
    clean = scrub("it was hunter2hunter", LOGIN, {"password": ["hunter", "hunter2hunter"]})
    assert clean == f"it was {HIDDEN}"


@pytest.mark.parametrize("number", [4242424242424242, 1234.5])
def test_a_sensitive_number_does_not_survive(number: float) -> None:
    assert scrub(f"bad card {number}", LOGIN, {"password": number}) == f"bad card {HIDDEN}"


@pytest.mark.parametrize("short", ["no", "a", "", 7, True, None])
def test_a_short_value_stays_so_that_the_text_can_be_read(short: object) -> None:
    text = "no answer: True and None of a 7"
    assert scrub(text, LOGIN, {"password": short}) == text


def test_what_is_not_sensitive_stays() -> None:
    payload = {"user": "hunter", "password": "swordfish"}
    assert scrub("hunter said swordfish", LOGIN, payload) == f"hunter said {HIDDEN}"


@pytest.mark.parametrize("before", range(-90, 40, 13))
@pytest.mark.parametrize("secret", ["swordfish", "hunter2%40example"])
def test_where_an_endless_text_is_cut_no_half_of_a_secret_is_left(before: int, secret: str) -> None:
    half = "x" * (LONGEST_TEXT // 2 - before)
    text = f"{half}{secret * 3}{'x' * LONGEST_TEXT}{secret * 3}{half}"
    clean = scrub(text, LOGIN, {"password": secret})
    assert len(clean) <= LONGEST_TEXT + 30
    assert set(clean.replace(HIDDEN, "")) <= set("x\n[...]")


def quoted_printable(text: str) -> str:
    """Every character but letters and digits, as some mail programs do, in a line of its own."""
    return "".join(c if c.isalnum() and c.isascii() else _hex(c, "=") for c in text)


def _hex(text: str, mark: str) -> str:
    return "".join(f"{mark}{byte:02X}" for byte in text.encode())


def in_lines(text: str) -> str:
    """Quoted-printable with a line's end in every word."""
    return "=\r\n".join(quoted_printable(text[i : i + 6]) for i in range(0, len(text), 6))


ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "Python": lambda text: repr(text)[1:-1],
    "Python's bytes": lambda text: repr(text.encode())[2:-1],
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, with escaped slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "JSON in Python": lambda text: repr(json.dumps(text)[1:-1])[1:-1],
    "a path of an URL": lambda text: quote(text, safe=""),
    "a path of an URL, in small letters": lambda text: quote(text, safe="").lower(),
    "a query": quote_plus,
    "a query, but for the @": lambda text: quote_plus(text, safe="@"),
    "every byte in %": lambda text: _hex(text, "%"),
    "a query in JSON": lambda text: json.dumps(quote_plus(text, safe='"'))[1:-1],
    "HTML": escape,
    "HTML by numbers": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "quoted-printable": lambda text: encodestring(text.encode()).decode(),
    "quoted-printable, all": quoted_printable,
    "quoted-printable, in lines": in_lines,
    "quoted-printable in Python's bytes": lambda text: repr(in_lines(text).encode())[2:-1],
    "quoted-printable of a header": lambda text: quoted_printable(text).replace("=20", "_"),
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64 without its end": lambda text: b64encode(text.encode()).decode().rstrip("="),
    "base64 of URLs": lambda text: urlsafe_b64encode(text.encode()).decode(),
    "base64 in lines": lambda text: "\n".join(wrap(b64encode(text.encode()).decode(), 12)),
    "base64 of more": lambda text: b64encode(f"\0user\0{text}\0".encode()).decode(),
}
SECRETS = [
    "ann.smith@example.com",
    "a@b.example",
    "hunter2",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "https://hooks.example/services/T0/hunter2?a=b",
    "correct horse battery staple",
    'p\u00e4ssw\u00f6rd: 100% + \U0001f511 a_b=c \\ "it\'s" <&>',
    "Dear Ann,\nyour code is 123456.\n\tBye",
    "\u041f\u0430\u0440\u043e\u043b\u044c",
]


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_sensitive_text_survives_in_another_encoding(encoding: str, secret: str) -> None:
    encoded = ENCODINGS[encoding](secret)
    clean = scrub(f"550 5.1.1 <{encoded}> refused", LOGIN, {"password": secret})
    assert clean == f"550 5.1.1 <{HIDDEN}> refused"


words = st.text(st.characters(categories=["L", "N"], max_codepoint=0x17F), min_size=PART + 1)
phrases = st.lists(words, min_size=2).map(" ".join)


@given(words | phrases, st.data())
def test_no_part_of_a_value_survives(secret: str, data: st.DataObject) -> None:
    size = PHRASE if " " in secret else PART
    start = data.draw(st.integers(0, len(secret) - size))
    part = secret[start : data.draw(st.integers(start + size, len(secret)))]
    clean = scrub(f"it began with:{part}...", LOGIN, {"password": secret})
    assert clean == f"it began with:{HIDDEN}..."


def test_no_line_of_a_value_survives() -> None:
    lines = ["Dear Ann", "123456", "that is your new code for the door"]
    for line in lines:
        clean = scrub(f"spam: '{line}'", LOGIN, {"password": "\r\n".join(lines)})
        assert clean == f"spam: '{HIDDEN}'"


def test_the_name_of_a_mail_address_does_not_survive_alone_but_in_other_words() -> None:
    text = "no user Mail here: actors/emails.py, line 1"
    clean = scrub(text, LOGIN, {"password": "mail@shop.example"})
    assert clean == f"no user {HIDDEN} here: actors/emails.py, line 1"


def test_an_error_that_quotes_nothing_is_left_as_it_is() -> None:
    mail = (
        "Dear customer,\nplease find the invoice for your last order attached. If there "
        "is an error in it, our service answers all mails. The connection to our server is safe.\n"
    )
    try:
        json.loads("{")
    except ValueError as error:
        error.add_note("the mail server answered 550 no such user")
        text = "".join(traceback.format_exception(error))
    assert scrub(text, LOGIN, {"password": mail * 20}) == text
