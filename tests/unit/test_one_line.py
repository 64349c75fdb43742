import re

from pydantic import TypeAdapter, ValidationError

from service.mail.one_line import PATTERN, OneLine

ONE_LINE = TypeAdapter(OneLine)
LAST_SEPARATOR = 0x2029


def is_taken(text: str) -> bool:
    try:
        ONE_LINE.validate_python(text)
    except ValidationError:
        return False
    return True


def test_openapi_says_which_characters_are_taken() -> None:
    characters = [chr(code) for code in range(LAST_SEPARATOR + 100)]

    taken = [char for char in characters if is_taken(f"a{char}b")]

    assert taken == [char for char in characters if re.fullmatch(PATTERN, f"a{char}b")]
    assert "\n" not in taken
