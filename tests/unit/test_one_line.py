import re

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.one_line import PATTERN, OneLine

odd = st.characters(categories=["Cc", "Cf", "Co", "Cn", "Z", "Lu"])


@given(st.text(odd, min_size=1))
def test_openapi_says_what_is_taken(text: str) -> None:
    try:
        TypeAdapter(OneLine).validate_python(text)
        taken = True
    except ValidationError:
        taken = False

    assert taken == bool(re.fullmatch(PATTERN, text))
